

def test_several_processes_that_speak_http_need_vllm_s_own_command() -> None:
    command = server_command(Path("python"), "models/m", {}, port=1, api_server_count=4)
    assert command[1:7] == ["-m", "vllm.entrypoints.cli.main", "serve", "models/m", "--api-server-count", "4"]
    assert "--model" not in command
