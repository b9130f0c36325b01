#!/usr/bin/env python3
"""A full-size CLIP ViT-L/14 with random weights, in the precision of OpenAI's archive (linear maps
and attention in half, the rest in single), for bench_import; and the time torch.load takes for it.

usage: import_torch.py --write FILE      writes it with torch.save, 0.9 GB
       import_torch.py --load FILE       prints a JSON line: seconds, and memory over the file's size
"""
import json
import math
import os
import resource
import statistics
import sys
import time

import torch


def state_dict():
    torch.manual_seed(1)

    def half(*shape):
        return (torch.randn(*shape) / math.sqrt(shape[-1])).half()

    def tower(name, width, layers):
        for i in range(layers):
            block = f"{name}.resblocks.{i}."
            for key, out, cols in (("attn.in_proj_", 3 * width, width),
                                   ("attn.out_proj.", width, width),
                                   ("mlp.c_fc.", 4 * width, width),
                                   ("mlp.c_proj.", width, 4 * width)):
                state[f"{block}{key}weight"], state[f"{block}{key}bias"] = half(out, cols), half(out)
            norm(block + "ln_1.", width)
            norm(block + "ln_2.", width)

    def norm(name, width):
        state[name + "weight"], state[name + "bias"] = torch.ones(width), torch.zeros(width)

    state = {"positional_embedding": torch.randn(77, 768), "text_projection": half(768, 768),
             "logit_scale": torch.tensor(4.6052),
             "token_embedding.weight": torch.randn(49408, 768) * 0.02,
             "visual.class_embedding": torch.randn(1024), "visual.proj": half(1024, 768),
             "visual.positional_embedding": torch.randn(257, 1024),
             "visual.conv1.weight": half(1024, 3, 14, 14)}
    tower("visual.transformer", 1024, 24)
    tower("transformer", 768, 12)
    for name, width in (("visual.ln_pre.", 1024), ("visual.ln_post.", 1024), ("ln_final.", 768)):
        norm(name, width)
    return state


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("--write", "--load"):
        sys.exit(__doc__)
    if sys.argv[1] == "--write":
        torch.save(state_dict(), sys.argv[2])
        return
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    runs = []
    for _ in range(5):
        start = time.perf_counter()
        state = torch.load(sys.argv[2])
        runs.append(time.perf_counter() - start)
        del state
    size = os.path.getsize(sys.argv[2])
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    print(json.dumps({"bench": "import_torch", "case": "torch.load", "seconds_min": min(runs),
                      "seconds_median": statistics.median(runs), "runs": len(runs),
                      "mb_per_s": size / 1e6 / min(runs), "memory_over_file": grown / size}))


if __name__ == "__main__":
    main()
