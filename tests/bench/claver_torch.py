#!/usr/bin/env python3
"""CLAVER in PyTorch, as fast as its users can have it: what the benchmarks measure against.

usage: claver_torch.py MODEL OUT [--device cpu|cuda]
    writes what PyTorch makes of a model on random input, in double precision, gradients included;
    `claverdb model compare MODEL OUT`, and with --train, then say whether both compute the same.

Parameters carry the published names, so a checkpoint is a state dict. Attention of the temporal
stack is one of
    dense   scores, an additive mask, softmax, in PyTorch's own operators
    mask    scaled_dot_product_attention with the boolean mask
    bias    the same with the mask as numbers to add
    flex    flex_attention with a block mask, which skips blocks that are hidden altogether
"""
import argparse
import json
import math
import struct

import torch
from torch import nn
from torch.nn import functional as F

try:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention
except ImportError:
    create_block_mask = flex_attention = None

HEAD = 64
HAS_SDPA = hasattr(F, 'scaled_dot_product_attention')
VARIANTS = [*(['flex'] if flex_attention else []), *(['mask', 'bias'] if HAS_SDPA else []), 'dense']
ARCHS = {
    'vit-b-32': dict(patch=32, side=224, width=768, layers=12, embed=512, text_width=512, text_layers=12),
    'vit-b-16': dict(patch=16, side=224, width=768, layers=12, embed=512, text_width=512, text_layers=12),
    'vit-l-14': dict(patch=14, side=224, width=1024, layers=24, embed=768, text_width=768, text_layers=12),
    'tiny': dict(patch=16, side=64, width=128, layers=3, embed=64, text_width=64, text_layers=2, vocabulary=514),
}


def config_of(arch, frames, mask='kmt'):
    c = dict(ARCHS[arch], frames=frames, mask=mask, context=77)
    c.setdefault('vocabulary', 49408)
    c['temporal_layers'] = c['layers'] // 3
    return c


def hidden_of(mask, frame_tokens, q, k):
    """Whether query q does not see key k: its own frame but for itself, and later frames in KMCT."""
    frame_q, frame_k = q // frame_tokens, k // frame_tokens
    hidden = (frame_q == frame_k) & (q != k)
    return hidden | (frame_k > frame_q) if mask == 'kmct' else hidden


class Sight:
    """What the rows of the temporal stack see, in the form that its attention takes."""

    def __init__(self, variant, mask, frames, frame_tokens, device, dtype):
        n = frames * frame_tokens
        at = torch.arange(n, device=device)
        hidden = hidden_of(mask, frame_tokens, at[:, None], at[None, :])
        self.variant = variant
        if variant == 'flex':
            self.blocks = create_block_mask(lambda b, h, q, k: ~hidden_of(mask, frame_tokens, q, k), None, None, n, n,
                                            device=device)
        elif variant == 'mask':
            self.seen = ~hidden
        else:
            self.bias = torch.zeros(n, n, device=device, dtype=dtype).masked_fill(hidden, -math.inf)

    def attend(self, q, k, v):
        if self.variant == 'flex':
            return flex_attention(q, k, v, block_mask=self.blocks)
        if self.variant == 'mask':
            return F.scaled_dot_product_attention(q, k, v, attn_mask=self.seen)
        if self.variant == 'bias':
            return F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias.to(q.dtype))
        return dense(q, k, v, self.bias.to(q.dtype))


def dense(q, k, v, bias=None):
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    return (scores if bias is None else scores + bias).softmax(-1) @ v


def see_all(q, k, v):
    return F.scaled_dot_product_attention(q, k, v) if HAS_SDPA else dense(q, k, v)


def see_before(q, k, v):
    if HAS_SDPA:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    n = q.shape[-2]
    return dense(q, k, v, torch.full((n, n), -math.inf, dtype=q.dtype, device=q.device).triu(1))


class Attention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.heads = max(1, width // HEAD)
        self.in_proj_weight = nn.Parameter(torch.randn(3 * width, width) * 1.5 / math.sqrt(width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)

    def forward(self, x, attend):
        b, n, d = x.shape
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = qkv.view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4).unbind(0)
        return self.out_proj(attend(q, k, v).transpose(1, 2).reshape(b, n, d))


class Block(nn.Module):
    def __init__(self, width, prefix=''):
        super().__init__()
        self.prefix = prefix
        mlp = nn.Module()
        mlp.c_fc, mlp.c_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        for name, part in dict(ln_1=nn.LayerNorm(width), attn=Attention(width), ln_2=nn.LayerNorm(width),
                               mlp=mlp).items():
            self.add_module(prefix + name, part)

    def forward(self, x, attend):
        ln_1, attn, ln_2, mlp = (getattr(self, self.prefix + name) for name in ('ln_1', 'attn', 'ln_2', 'mlp'))
        x = x + attn(ln_1(x), attend)
        h = mlp.c_fc(ln_2(x))
        return x + mlp.c_proj(h * torch.sigmoid(1.702 * h))


def tower(width, layers, prefix=''):
    stack = nn.Module()
    stack.resblocks = nn.ModuleList(Block(width, prefix) for _ in range(layers))
    return stack


class Visual(nn.Module):
    def __init__(self, c):
        super().__init__()
        w = c['width']
        self.tokens = (c['side'] // c['patch']) ** 2 + 1
        self.frames = c['frames']
        self.conv1 = nn.Conv2d(3, w, c['patch'], c['patch'], bias=False)
        self.class_embedding = nn.Parameter(torch.zeros(w))
        self.positional_embedding = nn.Parameter(torch.randn(self.tokens, w) * .05)
        self.ln_pre, self.ln_post = nn.LayerNorm(w), nn.LayerNorm(w)
        self.transformer = tower(w, c['layers'])
        self.temporal_embedding = nn.Parameter(torch.randn(1, c['frames'], w) * .2)
        self.transformer_t = tower(w, c['temporal_layers'], 'temporal_')
        self.proj = nn.Parameter(torch.randn(w, c['embed']) / math.sqrt(w))

    def normalise(self, pixels):
        """Bytes [B, T, R, R, 3], as decoders leave pictures -> [B, T, 3, R, R] of -1..1 in the model's type."""
        return (pixels.permute(0, 1, 4, 2, 3).float() * (1 / 127.5) - 1).to(self.proj.dtype)

    def encode_frames(self, x):
        """[F, 3, R, R], normalised -> tokens [F, L, W]."""
        x = self.conv1(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.to(x.dtype).expand(len(x), 1, -1), x], 1) + self.positional_embedding
        x = self.ln_pre(x)
        for block in self.transformer.resblocks:
            x = block(x, see_all)
        return x

    def encode_clips(self, x, sight):
        """Tokens [B, T, L, W] -> features [B, T, E] and the patch tokens [B, T, L-1, W]."""
        b, t, n, w = x.shape
        x = (x + self.temporal_embedding[0, :, None]).reshape(b, t * n, w)
        for block in self.transformer_t.resblocks:
            x = block(x, sight.attend)
        x = x.view(b, t, n, w)
        return self.ln_post(x[:, :, 0]) @ self.proj, x[:, :, 1:]


class Claver(nn.Module):
    def __init__(self, c):
        super().__init__()
        w = c['text_width']
        self.config = c
        self.visual = Visual(c)
        self.token_embedding = nn.Embedding(c['vocabulary'], w)
        self.positional_embedding = nn.Parameter(torch.randn(c['context'], w) * .05)
        self.transformer = tower(w, c['text_layers'])
        self.ln_final = nn.LayerNorm(w)
        self.text_projection = nn.Parameter(torch.randn(w, c['embed']) / math.sqrt(w))
        self.logit_scale = nn.Parameter(torch.tensor(2.6593))

    def sight(self, variant):
        weight = self.visual.proj
        return Sight(variant, self.config['mask'], self.visual.frames, self.visual.tokens, weight.device, weight.dtype)

    def vectors_of_tokens(self, tokens, sight):
        """Frame tokens [B, T, L, W] -> vectors [B, E]: the mean of unit frame features."""
        return F.normalize(self.visual.encode_clips(tokens, sight)[0], dim=-1).mean(1)

    def vectors_of_clips(self, clips, sight):
        """Normalised [B, T, 3, R, R] -> vectors [B, E]."""
        tokens = self.visual.encode_frames(clips.flatten(0, 1))
        return self.vectors_of_tokens(tokens.view(*clips.shape[:2], *tokens.shape[1:]), sight)

    def vectors_of_pixels(self, pixels, sight):
        """Bytes [B, T, R, R, 3] -> vectors [B, E]."""
        return self.vectors_of_clips(self.visual.normalise(pixels), sight)

    def encode_text(self, ids):
        """[N, n] -> [N, E]; the end token, the largest id, is where the feature is read."""
        x = self.token_embedding(ids) + self.positional_embedding[:ids.shape[1]]
        for block in self.transformer.resblocks:
            x = block(x, see_before)
        x = x[torch.arange(len(x), device=x.device), ids.argmax(-1)]
        return self.ln_final(x) @ self.text_projection

    def logits(self, vectors, texts, prompts):
        z = self.logit_scale.exp() * vectors @ F.normalize(texts, dim=-1).T
        return z.view(len(vectors), prompts, -1)


def soft_cross_entropy(logits, labels):
    """Over [B, A, C] with labels [B, C], averaged over clips and prompts."""
    logits = logits if logits.dtype == torch.float64 else logits.float()
    return -(labels[:, None] * logits.log_softmax(-1)).sum(-1).mean()


# ---- files ----

KINDS = {'F32': torch.float32, 'F16': torch.float16, 'BF16': torch.bfloat16, 'F64': torch.float64, 'I32': torch.int32}


def read_model(path):
    """A safetensors file -> (tensors by name, metadata)."""
    with open(path, 'rb') as file:
        header = json.loads(file.read(struct.unpack('<Q', file.read(8))[0]))
        data = bytearray(file.read())
    metadata = header.pop('__metadata__', {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry['data_offsets']
        if entry['dtype'] in KINDS and end > begin:
            kind = KINDS[entry['dtype']]
            size = torch.empty((), dtype=kind).element_size()
            tensors[name] = torch.frombuffer(data, dtype=kind, offset=begin,
                                             count=(end - begin) // size).reshape(entry['shape'])
    return tensors, metadata


def write_tensors(path, tensors, metadata):
    header, parts, at = {'__metadata__': metadata}, [], 0
    for name, tensor in tensors.items():
        kind = torch.int32 if tensor.dtype in (torch.int32, torch.int64) else torch.float32
        part = tensor.detach().cpu().to(kind).contiguous().numpy().tobytes()
        header[name] = dict(dtype='I32' if kind == torch.int32 else 'F32', shape=list(tensor.shape),
                            data_offsets=[at, at + len(part)])
        parts.append(part)
        at += len(part)
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text + b''.join(parts))


def count_layers(tensors, prefix):
    return 1 + max((int(name[len(prefix):].split('.')[0]) for name in tensors if name.startswith(prefix)), default=-1)


def open_model(path):
    tensors, metadata = read_model(path)
    conv, position = tensors['visual.conv1.weight'], tensors['visual.positional_embedding']
    context, text_width = tensors['positional_embedding'].shape
    c = dict(patch=conv.shape[-1], side=conv.shape[-1] * math.isqrt(len(position) - 1), width=len(conv),
             layers=count_layers(tensors, 'visual.transformer.resblocks.'),
             temporal_layers=count_layers(tensors, 'visual.transformer_t.resblocks.'),
             embed=tensors['visual.proj'].shape[1], text_width=text_width, context=context,
             text_layers=count_layers(tensors, 'transformer.resblocks.'),
             vocabulary=len(tensors['token_embedding.weight']),
             frames=tensors['visual.temporal_embedding'].shape[1], mask=metadata['mask'].lower())
    model = Claver(c)
    model.load_state_dict(tensors)
    return model


def expectation(model, device):
    """Random input, and what the model makes of it."""
    c = model.config
    model = model.double().to(device)
    dice = torch.Generator().manual_seed(7)
    video = torch.randn(2, c['frames'], 3, c['side'], c['side'], generator=dice)
    ids = torch.randint(1, c['vocabulary'] - 1, (2, 3, c['context']), generator=dice)
    for i, text in enumerate(ids.flatten(0, 1)):
        text[3 + 11 * i % (c['context'] - 4):] = 0
        text[2 + 11 * i % (c['context'] - 4)] = c['vocabulary'] - 1
    labels = torch.rand(2, 3, generator=dice)
    labels /= labels.sum(-1, keepdim=True)
    clips = video.to(device).double()
    tokens = model.visual.encode_frames(clips.flatten(0, 1))
    features, patches = model.visual.encode_clips(tokens.view(*clips.shape[:2], *tokens.shape[1:]),
                                                  model.sight('dense'))
    vectors = F.normalize(features, dim=-1).mean(1)
    texts = model.encode_text(ids.to(device).flatten(0, 1))
    logits = model.logits(vectors, texts, 2)
    loss = soft_cross_entropy(logits, labels.to(device).double())
    loss.backward()
    out = dict(input_video=video, input_tokens=ids, input_soft_labels=labels, frame_tokens=tokens,
               frame_features=features, patch_tokens=patches, video_vector=vectors, text_features=texts,
               logits=logits, loss=loss.reshape(1))
    for name, parameter in model.named_parameters():
        out['grad.' + name] = parameter.grad
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model')
    parser.add_argument('out')
    parser.add_argument('--device', default='cpu')
    options = parser.parse_args()
    torch.manual_seed(1)
    write_tensors(options.out, expectation(open_model(options.model), options.device),
                  {'lr': '0.001', 'weight_decay': '0.01'})


if __name__ == '__main__':
    main()
