#!/usr/bin/env python3
"""The training steps of bench_train in PyTorch, fp32, on the same shapes: prints the same lines.

usage: train_torch.py [mini] [vit-b-32] [vit-b-32-frozen-text]     (threads: OMP_NUM_THREADS or all)

Temporal attention is computed the usual way, densely with an additive mask; the last blocks
compute all rows, as PyTorch code does.
"""
import json
import math
import os
import resource
import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

T, HEAD, TEXT_TOKENS, RUNS = 8, 64, 10, 4
CASES = {
    'mini': dict(side=64, patch=8, width=192, layers=6, temporal=2, text_width=128, text_layers=4, embed=128,
                 vocabulary=4096, clips=32, prompts=5, classes=48),
    'vit-b-32': dict(side=224, patch=32, width=768, layers=12, temporal=4, text_width=512, text_layers=12, embed=512,
                     vocabulary=49408, clips=4, prompts=2, classes=20),
}
CASES['vit-b-32-frozen-text'] = dict(CASES['vit-b-32'], frozen_text=True)


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc, self.proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, mask=None):
        b, n, d = x.shape
        q, k, v = (a.reshape(b, n, d // HEAD, HEAD).transpose(1, 2) for a in self.qkv(self.ln_1(x)).chunk(3, -1))
        s = q @ k.transpose(-1, -2) / math.sqrt(HEAD)
        if mask is not None:
            s = s + mask
        x = x + self.out((s.softmax(-1) @ v).transpose(1, 2).reshape(b, n, d))
        h = self.fc(self.ln_2(x))
        return x + self.proj(h * torch.sigmoid(1.702 * h))


class Model(nn.Module):
    def __init__(self, c):
        super().__init__()
        w, tokens = c['width'], (c['side'] // c['patch']) ** 2 + 1
        self.conv = nn.Conv2d(3, w, c['patch'], c['patch'], bias=False)
        self.cls, self.position = nn.Parameter(torch.zeros(w)), nn.Parameter(torch.randn(tokens, w) * .05)
        self.temporal = nn.Parameter(torch.randn(T, 1, w) * .2)
        self.ln_pre, self.ln_post = nn.LayerNorm(w), nn.LayerNorm(w)
        self.spatial = nn.ModuleList(Block(w) for _ in range(c['layers']))
        self.stack = nn.ModuleList(Block(w) for _ in range(c['temporal']))
        self.head = nn.Linear(w, c['embed'], bias=False)
        self.text = nn.ModuleDict(dict(
            table=nn.Embedding(c['vocabulary'], c['text_width']),
            blocks=nn.ModuleList(Block(c['text_width']) for _ in range(c['text_layers'])),
            norm=nn.LayerNorm(c['text_width']), head=nn.Linear(c['text_width'], c['embed'], bias=False)))
        self.text_position = nn.Parameter(torch.randn(77, c['text_width']) * .05)
        self.scale = nn.Parameter(torch.tensor(2.6593))
        frame = torch.arange(T).repeat_interleave(tokens)
        hidden = (frame[:, None] == frame) & ~torch.eye(T * tokens, dtype=torch.bool)
        self.mask = torch.zeros(T * tokens, T * tokens).masked_fill(hidden, -math.inf)
        self.causal = torch.full((TEXT_TOKENS, TEXT_TOKENS), -math.inf).triu(1)

    def encode_video(self, video):
        b = len(video)
        x = self.conv(video.flatten(0, 1)).flatten(2).transpose(1, 2)
        x = self.ln_pre(torch.cat([self.cls.expand(len(x), 1, -1), x], 1) + self.position)
        for block in self.spatial:
            x = block(x)
        tokens, w = x.shape[1:]
        x = (x.reshape(b, T, tokens, w) + self.temporal).reshape(b, T * tokens, w)
        for block in self.stack:
            x = block(x, self.mask)
        return F.normalize(self.head(self.ln_post(x.reshape(b, T, tokens, w)[:, :, 0])), dim=-1).mean(1)

    def encode_text(self, ids):
        x = self.text['table'](ids) + self.text_position[:TEXT_TOKENS]
        for block in self.text['blocks']:
            x = block(x, self.causal)
        return F.normalize(self.text['head'](self.text['norm'](x[:, -1])), dim=-1)

    def loss(self, video, ids, labels, prompts):
        z = self.scale.exp() * self.encode_video(video) @ self.encode_text(ids).T
        z = z.reshape(len(video), prompts, -1)
        return -(labels[:, None] * z.log_softmax(-1)).sum(-1).mean()


def main():
    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', os.cpu_count())))
    torch.manual_seed(1)
    for name in sys.argv[1:] or CASES:
        c = CASES[name]
        model = Model(c)
        if c.get('frozen_text'):
            for parameter in [*model.text.parameters(), model.text_position, model.scale]:
                parameter.requires_grad_(False)
        optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5, betas=(.9, .98))
        video = torch.randn(c['clips'], T, 3, c['side'], c['side'])
        ids = torch.randint(0, c['vocabulary'], (c['prompts'] * c['classes'], TEXT_TOKENS))
        labels = F.one_hot(torch.arange(c['clips']) % c['classes'], c['classes']).float()

        def step():
            optimizer.zero_grad()
            model.loss(video, ids, labels, c['prompts']).backward()
            optimizer.step()

        step()
        runs = []
        while len(runs) < RUNS:
            start = time.perf_counter()
            step()
            runs.append(time.perf_counter() - start)
        print(json.dumps(dict(bench='train_torch', case=name, clips=c['clips'], clips_per_s=c['clips'] / min(runs),
                              seconds_min=min(runs), seconds_median=statistics.median(runs), runs=len(runs),
                              peak_rss_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)), flush=True)


main()
