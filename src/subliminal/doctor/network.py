"""What goes over the network: the Hub, its token, and what the tools report of their use."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Mapping

from subliminal.core.manifest import scrub
from subliminal.doctor.lines import Line

HUB_SECONDS = 4.0
TELEMETRY = {"AXOLOTL_DO_NOT_TRACK": "Axolotl", "HF_HUB_DISABLE_TELEMETRY": "the Hub client", "DO_NOT_TRACK": "vLLM"}
"""Variable that must be 1 -> who reports without it."""


def hub_line(environ: Mapping[str, str], seconds: float = HUB_SECONDS) -> Line:
    """Whether the Hub (or the server that HF_ENDPOINT names) answers.

    Args:
        environ: environment variables; HF_ENDPOINT and HF_HUB_OFFLINE count.
        seconds: how long to wait, name look-up included.
    """
    endpoint = environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
    # The address may hold a user's name and password.
    shown = scrub(endpoint)
    if environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
        return Line("warning", "Hub", "HF_HUB_OFFLINE is set: only models that are on this machine can be used")
    failure = ["no answer"]

    def ask() -> None:
        try:
            urllib.request.urlopen(f"{endpoint}/api/models?limit=1", timeout=seconds).close()
            failure.clear()
        except urllib.error.HTTPError:  # it answers, whatever it says
            failure.clear()
        except (OSError, ValueError) as error:
            failure[0] = scrub(str(getattr(error, "reason", error)))

    thread = threading.Thread(target=ask, daemon=True)  # looking up a name has no timeout of its own
    thread.start()
    thread.join(seconds)
    if failure:
        return Line("warning", "Hub", f"{shown} is not reachable ({failure[0]}): fetch models another way, or offline")
    return Line("ok", "Hub", f"{shown} answers")


def token_line() -> Line:
    """Whether the Hub client has a token. The token itself is neither shown nor kept."""
    from huggingface_hub import get_token

    if get_token():
        return Line("ok", "Hub token", "present")
    return Line("warning", "Hub token", "none; gated models (Llama) and pushes need one: `hf auth login`, or HF_TOKEN")


def telemetry_line(environ: Mapping[str, str]) -> Line:
    """Whether the tools are told not to report their use."""
    tools, settings = [], []
    for name, tool in TELEMETRY.items():
        if environ.get(name, "").lower() not in ("1", "true", "yes"):
            tools.append(tool)
            settings.append(f"{name}=1")
    if not tools:
        return Line("ok", "telemetry", "off")
    by_hand = f"export {' '.join(settings)}"
    return Line("warning", "telemetry", f"on for {', '.join(tools)}; make turns it off, by hand: {by_hand}")
