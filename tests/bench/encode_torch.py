#!/usr/bin/env python3
"""The visual branch of bench_encode in PyTorch, fp32, on the same shapes: prints the same lines.

usage: encode_torch.py [vit-b-32] [vit-b-16]     (threads: OMP_NUM_THREADS or all)

Temporal attention is computed the usual way, densely with an additive mask; the last temporal
block computes all rows, as PyTorch code does.
"""
import json
import math
import os
import statistics
import sys
import time

import torch
from torch.nn import functional as F

T, HEAD = 8, 64
ARCHS = {'vit-b-32': 32, 'vit-b-16': 16}


def block_weights(width):
    shapes = [(3 * width, width), (width, width), (4 * width, width), (width, 4 * width)]
    return [(torch.randn(o, i) * 1.5 / math.sqrt(i), torch.zeros(o)) for o, i in shapes]


def block(x, weights, norm, mask=None):
    b, n, d = x.shape
    (wi, bi), (wo, bo), (wf, bf), (wp, bp) = weights
    qkv = F.linear(F.layer_norm(x, (d,), *norm), wi, bi).chunk(3, -1)
    q, k, v = (a.reshape(b, n, d // HEAD, HEAD).transpose(1, 2) for a in qkv)
    s = q @ k.transpose(-1, -2) / math.sqrt(HEAD)
    if mask is not None:
        s = s + mask
    x = x + F.linear((s.softmax(-1) @ v).transpose(1, 2).reshape(b, n, d), wo, bo)
    h = F.linear(F.layer_norm(x, (d,), *norm), wf, bf)
    return x + F.linear(h * torch.sigmoid(1.702 * h), wp, bp)


def bench(name, work):
    work()
    runs = []
    while len(runs) < 5 or sum(runs) < 1:
        start = time.perf_counter()
        work()
        runs.append(time.perf_counter() - start)
    print(json.dumps(dict(bench='encode_torch', case=name, clips_per_s=1 / min(runs), frames_per_s=T / min(runs),
                          seconds_min=min(runs), seconds_median=statistics.median(runs), runs=len(runs))), flush=True)


def main():
    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', os.cpu_count())))
    torch.manual_seed(1)
    width, layers, embed, side = 768, 12, 512, 224
    for arch in sys.argv[1:] or ARCHS:
        patch = ARCHS[arch]
        tokens = (side // patch) ** 2 + 1
        conv = torch.randn(width, 3, patch, patch) * .02
        position, temporal = torch.randn(tokens, width) * .05, torch.randn(T, 1, width) * .2
        norm = torch.ones(width), torch.zeros(width)
        spatial = [block_weights(width) for _ in range(layers)]
        stack = [block_weights(width) for _ in range(layers // 3)]
        proj = torch.randn(width, embed) / math.sqrt(width)
        frame = torch.arange(T).repeat_interleave(tokens)
        hidden = (frame[:, None] == frame) & ~torch.eye(T * tokens, dtype=torch.bool)
        mask = torch.zeros(T * tokens, T * tokens).masked_fill(hidden, -math.inf)
        video = torch.randn(T, 3, side, side)

        def clip():
            with torch.no_grad():
                x = F.conv2d(video, conv, stride=patch).flatten(2).transpose(1, 2)
                x = torch.cat([torch.zeros(T, 1, width), x], 1) + position
                x = F.layer_norm(x, (width,), *norm)
                for weights in spatial:
                    x = block(x, weights, norm)
                x = (x + temporal).reshape(1, T * tokens, width)
                for weights in stack:
                    x = block(x, weights, norm, mask)
                x = F.layer_norm(x.reshape(T, tokens, width)[:, 0], (width,), *norm) @ proj
                return (x / x.norm(dim=-1, keepdim=True)).mean(0)

        bench(f'{arch} clip of {T}', clip)


main()
