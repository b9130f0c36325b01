#!/usr/bin/python3
"""Writes tests/data/checkpoints: small random CLIPs in every layout `model import` reads.

usage: make_checkpoints.py [OUT]          (default: the folder checkpoints/ beside this script)

Each folder holds one checkpoint (or several of the same weights) and expect.safetensors, what the
framework the layout comes from computes of it in float64, in the form `claverdb model compare`
reads: input_video [B, T, 3, R, R], input_tokens [A, C, context], and the results. Its metadata
names the framework, and the texts (one a line) that the tokens were made of.

Needs PyTorch (python3-torch). The layouts of Hugging Face and OpenCLIP are written, and their
forward passes run, by transformers and open_clip; where one of these cannot be imported the
script says which folders it left as they are. The same versions write the same bytes each time.
"""
import collections
import contextlib
import copy
import gzip
import io
import json
import math
import os
import shutil
import struct
import sys
import types
import zipfile

import numpy
import torch
from torch import nn
from torch.nn import functional as F

CONTEXT = 12

# ---- the vocabulary --------------------------------------------------------------------------

CORPUS = ("a person is walking the dog . two people shake hands . a man runs with the ball . "
          "the cat is running away . people are dancing and one person is clapping hands")
TEXTS = ["a person runs", "two people shake hands", "The  CAT &amp; the dog", "", "dancing",
         "a man running away with the ball and the dog of two people"]


def byte_symbols():
    """One printable character for each byte, in the order of the ids (GPT-2's table)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    return dict(zip(shown + hidden, [chr(b) for b in shown] +
                    [chr(256 + i) for i in range(len(hidden))]))


def merge(word, pair):
    out = []
    for symbol in word:
        if out and (out[-1], symbol) == pair:
            out[-1] += symbol
        else:
            out.append(symbol)
    return out


class Vocabulary:
    """A byte-pair vocabulary of `count` merges learnt from CORPUS, in CLIP's order of ids."""

    def __init__(self, count):
        symbols = byte_symbols()
        words = [[*word[:-1], word[-1] + "</w>"] for word in CORPUS.split()]
        self.merges = []
        for _ in range(count):
            pairs = collections.Counter((a, b) for word in words for a, b in zip(word, word[1:]))
            best = min(pairs, key=lambda pair: (-pairs[pair], pair))
            self.merges.append(best)
            words = [merge(word, best) for word in words]
        tokens = [*symbols.values(), *(s + "</w>" for s in symbols.values()),
                  *(a + b for a, b in self.merges), "<|startoftext|>", "<|endoftext|>"]
        self.ids = {token: i for i, token in enumerate(tokens)}
        self.symbols = symbols

    def encode(self, text):
        """Start, the text's ids, end, zeros; cut at CONTEXT. Words are runs of letters here."""
        ids = [self.ids["<|startoftext|>"]]
        for word in text.replace("&amp;", "&").lower().split():
            parts = [self.symbols[b] for b in word.encode()]
            parts[-1] += "</w>"
            for pair in self.merges:
                parts = merge(parts, pair)
            ids += [self.ids[part] for part in parts]
        ids = ids[:CONTEXT - 1] + [self.ids["<|endoftext|>"]]
        return ids + [0] * (CONTEXT - len(ids))

    def list_text(self):
        """OpenAI's form of it: a first line of no meaning, and the merges."""
        return "\n".join(['"small vocabulary" - #version: 0.2', *map(" ".join, self.merges), ""])

    def write_list(self, folder):
        with open(f"{folder}/bpe_simple_vocab_16e6.txt.gz", "wb") as file:
            file.write(gzip.compress(self.list_text().encode(), mtime=0))

    def write_pair(self, folder):
        with open(f"{folder}/vocab.json", "w", encoding="utf-8") as file:
            json.dump(self.ids, file, ensure_ascii=False)
        with open(f"{folder}/merges.txt", "w", encoding="utf-8") as file:
            file.write(self.list_text().replace('"small vocabulary" - ', ""))

    def write_whole(self, folder):
        """tokenizer.json, as the `tokenizers` library writes it: what a reader looks at."""
        specials = [{"id": self.ids[t], "content": t, "single_word": False, "lstrip": False,
                     "rstrip": False, "normalized": True, "special": True}
                    for t in ("<|startoftext|>", "<|endoftext|>")]
        whole = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": specials,
                 "normalizer": {"type": "Sequence", "normalizers": [
                     {"type": "NFC"}, {"type": "Lowercase"}]},
                 "model": {"type": "BPE", "dropout": None, "unk_token": "<|endoftext|>",
                           "continuing_subword_prefix": "", "end_of_word_suffix": "</w>",
                           "fuse_unk": False, "vocab": self.ids,
                           "merges": [" ".join(pair) for pair in self.merges]}}
        with open(f"{folder}/tokenizer.json", "w", encoding="utf-8") as file:
            json.dump(whole, file, ensure_ascii=False)


SMALL = Vocabulary(40)
BYTES = Vocabulary(0)

# ---- CLIP and CLAVER, under the published names ----------------------------------------------


class QuickGELU(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


def perceptron(width):
    return nn.Sequential(collections.OrderedDict(
        c_fc=nn.Linear(width, 4 * width), gelu=QuickGELU(), c_proj=nn.Linear(4 * width, width)))


class ResidualAttentionBlock(nn.Module):
    """x is [tokens, batch, width], as nn.MultiheadAttention takes it."""

    def __init__(self, width, heads):
        super().__init__()
        self.attn = nn.MultiheadAttention(width, heads)
        self.ln_1, self.mlp, self.ln_2 = nn.LayerNorm(width), perceptron(width), nn.LayerNorm(width)

    def forward(self, x, mask=None):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        return x + self.mlp(self.ln_2(x))


class TemporalBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.temporal_attn = nn.MultiheadAttention(width, heads)
        self.temporal_ln_1, self.temporal_ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.temporal_mlp = perceptron(width)

    def forward(self, x, mask=None):
        y = self.temporal_ln_1(x)
        x = x + self.temporal_attn(y, y, y, need_weights=False, attn_mask=mask)[0]
        return x + self.temporal_mlp(self.temporal_ln_2(x))


class Transformer(nn.Module):
    def __init__(self, block, width, layers, heads):
        super().__init__()
        self.resblocks = nn.ModuleList(block(width, heads) for _ in range(layers))

    def forward(self, x, mask=None):
        x = x.transpose(0, 1)
        for block in self.resblocks:
            x = block(x, mask)
        return x.transpose(0, 1)


def kronecker_mask(frames, tokens, causal):
    """True where attention is cut: within a frame except to oneself; KMCT: to later frames."""
    same = torch.block_diag(*[torch.ones(tokens, tokens)] * frames).bool()
    cut = same & ~torch.eye(frames * tokens).bool()
    if causal:
        t = torch.arange(frames).repeat_interleave(tokens)
        cut |= t[None, :] > t[:, None]
    return cut


class VisionTransformer(nn.Module):
    def __init__(self, side, patch, width, layers, heads, embed, frames, temporal_layers):
        super().__init__()
        tokens = (side // patch) ** 2 + 1
        self.class_embedding = nn.Parameter(torch.empty(width))
        self.positional_embedding = nn.Parameter(torch.empty(tokens, width))
        if frames:
            self.temporal_embedding = nn.Parameter(torch.empty(1, frames, width))
        self.proj = nn.Parameter(torch.empty(width, embed))
        self.conv1 = nn.Conv2d(3, width, patch, patch, bias=False)
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(ResidualAttentionBlock, width, layers, heads)
        if frames:
            self.transformer_t = Transformer(TemporalBlock, width, temporal_layers, heads)
        self.ln_post = nn.LayerNorm(width)

    def tokens(self, frames):
        """[N, 3, R, R] -> [N, L, W]"""
        x = self.conv1(frames).flatten(2).transpose(1, 2)
        x = torch.cat([self.class_embedding.expand(x.shape[0], 1, -1), x], 1)
        return self.transformer(self.ln_pre(x + self.positional_embedding))

    def forward(self, frames):
        return self.ln_post(self.tokens(frames)[:, 0]) @ self.proj

    def window(self, x, causal):
        """tokens [B, T, L, W] -> [B, T, L, W] after the temporal branch"""
        b, t, l, w = x.shape
        x = (x + self.temporal_embedding[0, :, None]).reshape(b, t * l, w)
        return self.transformer_t(x, kronecker_mask(t, l, causal)).reshape(b, t, l, w)


class CLIP(nn.Module):
    """`frames` > 0 adds CLAVER's temporal branch."""

    def __init__(self, vocabulary, side=16, patch=8, width=16, layers=2, text_width=8,
                 text_layers=1, heads=1, embed=8, frames=0, temporal_layers=0):
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.empty(CONTEXT, text_width))
        self.text_projection = nn.Parameter(torch.empty(text_width, embed))
        self.logit_scale = nn.Parameter(torch.empty([]))
        self.visual = VisionTransformer(side, patch, width, layers, heads, embed, frames,
                                        temporal_layers)
        self.transformer = Transformer(ResidualAttentionBlock, text_width, text_layers, heads)
        self.token_embedding = nn.Embedding(len(vocabulary.ids), text_width)
        self.ln_final = nn.LayerNorm(text_width)

    def encode_image(self, image):
        return self.visual(image)

    def encode_text(self, text):
        x = self.token_embedding(text) + self.positional_embedding
        n = text.shape[1]
        x = self.transformer(x, torch.ones(n, n, dtype=torch.bool).triu(1))
        x = self.ln_final(x)
        return x[torch.arange(x.shape[0]), text.argmax(-1)] @ self.text_projection

    def forward(self, image, text):
        return (self.logit_scale.exp() * F.normalize(self.encode_image(image), dim=-1)
                @ F.normalize(self.encode_text(text), dim=-1).T)


# Modules saved whole carry the name of the module their class lives in.
for published in (CLIP, VisionTransformer, Transformer, ResidualAttentionBlock, QuickGELU):
    published.__module__ = "clip.model"
sys.modules["clip"] = types.ModuleType("clip")
sys.modules["clip.model"] = sys.modules["__main__"]


def fill(model, seed):
    """Random weights that keep attention selective; in order of the names."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            mean, scale = 0.0, 0.05
            if name.endswith("logit_scale"):
                mean, scale = 2.6593, 0.0
            elif p.ndim == 1 and "weight" in name:
                mean = 1.0
            elif "temporal_embedding" in name:
                scale = 0.2
            elif name.endswith("proj") or name.endswith("text_projection"):
                scale = p.shape[0] ** -0.5
            elif p.ndim == 2 and ("embedding" not in name) or p.ndim == 4:
                scale = 1.5 / math.sqrt(p[0].numel())
            p.copy_(mean + scale * torch.randn(p.shape, generator=generator))
    return model.eval()


# ---- what must come of it --------------------------------------------------------------------


def save_safetensors(path, tensors, metadata):
    kinds = {torch.float32: "F32", torch.int32: "I32"}
    header, blobs, at = {"__metadata__": metadata}, [], 0
    for name, tensor in tensors.items():
        blob = tensor.detach().contiguous().numpy().tobytes()
        header[name] = {"dtype": kinds[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def expect(folder, framework, seed, side, frame_tokens, window, features, text_features, scale,
           vocabulary, ids=None, frames=2, clips=2):
    """Writes expect.safetensors. The functions are the framework's, in float64:
    frame_tokens(frames [N, 3, R, R]) -> [N, L, W]; window([B, T, L, W]) -> the same, or None for
    plain CLIP; features(tokens [N, L, W] after it, and the frames) -> [N, E];
    text_features(ids [N, context]) -> [N, E]."""
    generator = torch.Generator().manual_seed(seed)
    video = torch.randn(clips, frames, 3, side, side, generator=generator)
    tokens = torch.tensor(ids or [vocabulary.encode(text) for text in TEXTS])
    with torch.no_grad():
        folded = video.double().flatten(0, 1)
        x = frame_tokens(folded)
        y = x.unflatten(0, (clips, frames))
        y = window(y) if window else y
        f = features(y.flatten(0, 1), folded).unflatten(0, (clips, frames))
        vector = F.normalize(f, dim=-1).mean(1)
        text = text_features(tokens)
        logits = scale.double().exp() * vector @ F.normalize(text, dim=-1).T
    assert all(t.dtype == torch.float64 for t in (x, f, vector, text, logits))
    results = dict(frame_tokens=x, frame_features=f, patch_tokens=y[:, :, 1:],
                   video_vector=vector, text_features=text, logits=logits.unflatten(1, (2, -1)))
    save_safetensors(f"{folder}/expect.safetensors",
                     {"input_video": video, "input_tokens": tokens.int().unflatten(0, (2, -1)),
                      **{name: t.float() for name, t in results.items()}},
                     {"framework": framework, "seed": str(seed), "texts": "\n".join(TEXTS)})


def expect_own(folder, model, seed, vocabulary, causal=None, frames=2):
    """expect() of a CLIP of this script; `causal` None: no temporal branch."""
    model = copy.deepcopy(model).double()
    visual = model.visual
    # A second opinion on the way the parts are put together.
    picture = torch.randn(1, 3, *[visual.conv1.stride[0] * round((len(visual.positional_embedding)
                                                                  - 1) ** 0.5)] * 2).double()
    assert torch.allclose(visual(picture), visual.ln_post(visual.tokens(picture)[:, 0])
                          @ visual.proj)
    expect(folder, f"PyTorch {torch.__version__}", seed, picture.shape[-1], visual.tokens,
           None if causal is None else lambda x: visual.window(x, causal),
           lambda x, _: visual.ln_post(x[:, 0]) @ visual.proj, model.encode_text,
           model.logit_scale, vocabulary, frames=frames)


def folder_of(out, name):
    path = os.path.join(out, name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def rezip(data, target, compression=None):
    """Copies a zip archive, each member with its own compression or all with another. What names
    the sources a TorchScript was traced from is left out: it holds paths of this machine."""
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(target, "w") as out:
        for item in source.infolist():
            if not item.filename.endswith(".debug_pkl"):
                entry = zipfile.ZipInfo(item.filename)
                entry.compress_type = item.compress_type if compression is None else compression
                out.writestr(entry, source.read(item))


# ---- OpenAI ----------------------------------------------------------------------------------


def round_as_openai(model):
    """The published archives hold convolutions, linear maps, attention and the two projections in
    half precision, everything else in single. Rounds the model's values; returns those names."""
    half = ["visual.proj", "text_projection"]
    for name, module in model.named_modules():
        if isinstance(module, (nn.Conv2d, nn.Linear, nn.MultiheadAttention)):
            half += [f"{name}.{key}" for key, _ in module.named_parameters(recurse=False)]
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name in half:
            parameters[name].copy_(parameters[name].half().float())
    return half


def write_openai(out):
    """A TorchScript archive: the traced module tree, with its three numbers as buffers."""
    folder = folder_of(out, "openai")
    model = fill(CLIP(SMALL, side=28, patch=4), seed=1)
    half = round_as_openai(model)
    expect_own(folder, model, 101, SMALL, frames=1)
    for name, value in (("input_resolution", 28), ("context_length", CONTEXT),
                        ("vocab_size", len(SMALL.ids))):
        model.register_buffer(name, torch.tensor(value))
    text = torch.tensor([SMALL.encode(TEXTS[0])])
    with torch.no_grad():
        traced = torch.jit.trace_module(model, {
            "forward": (torch.zeros(1, 3, 28, 28), text), "encode_text": text,
            "encode_image": torch.zeros(1, 3, 28, 28)}, check_trace=False)
    for name, p in traced.named_parameters():
        if name in half:
            p.data = p.data.half()
    buffer = io.BytesIO()
    torch.jit.save(traced, buffer)
    rezip(buffer.getvalue(), f"{folder}/model.pt")
    state = torch.jit.load(f"{folder}/model.pt").state_dict()
    assert state["visual.proj"].dtype == torch.float16 and "vocab_size" in state
    SMALL.write_list(folder)


# ---- trainers --------------------------------------------------------------------------------


def config_class():
    """A stand-in for yacs.config.CfgNode that pickles to the same bytes."""
    module = types.ModuleType("yacs.config")

    class CfgNode(dict):
        def __init__(self, items):
            super().__init__((key, CfgNode(value) if isinstance(value, dict) else value)
                             for key, value in items.items())
            self.__dict__.update({"__immutable__": True, "__deprecated_keys__": set(),
                                  "__renamed_keys__": {}, "__new_allowed__": False})

    CfgNode.__module__, CfgNode.__qualname__ = "yacs.config", "CfgNode"
    module.CfgNode = CfgNode
    sys.modules["yacs"], sys.modules["yacs.config"] = types.ModuleType("yacs"), module
    return CfgNode


CfgNode = config_class()


def trainer_dict(state, trained, **model_settings):
    """{model, optimizer, lr_scheduler, max_accuracy, epoch, config}, as X-CLIP's trainer and those
    made from it save. `trained`: the parameters the optimiser holds a state for."""
    trained = [nn.Parameter(p.detach().clone()) for p in trained]
    optimizer = torch.optim.AdamW([{"params": trained[:1]}, {"params": trained[1:], "lr": 1.2e-4}],
                                  lr=12e-6, betas=(0.9, 0.98), eps=1e-8, weight_decay=0.001)
    for p in trained:
        p.grad = torch.full_like(p, 0.01)
    optimizer.step()
    scheduler = {"param_group_field": "lr", "_initial_param_group_field": "initial_lr",
                 "base_values": [12e-6, 1.2e-4], "metric": None, "t_initial": 600,
                 "lr_min": 1.2e-7, "warmup_t": 50, "cycle_mul": 1.0, "t_in_epochs": False}
    config = CfgNode({
        "DATA": {"ROOT": "", "DATASET": "kinetics400", "NUM_FRAMES": 3, "NUM_CLASSES": 400,
                 "INPUT_SIZE": 16},
        "MODEL": {"ARCH": "ViT-B/32", "DROP_PATH_RATE": 0.0, "PRETRAINED": None, "RESUME": None,
                  "FIX_TEXT": False, **model_settings},
        "TRAIN": {"EPOCHS": 60, "LR": 12e-6, "BATCH_SIZE": 8, "USE_CHECKPOINT": False},
        "OUTPUT": "", "SEED": 3047})
    return {"model": state, "optimizer": optimizer.state_dict(), "lr_scheduler": scheduler,
            "max_accuracy": 12.5, "epoch": 3, "config": config}


def cross_modal(name, embed, generator):
    """The V2T/T2V modules that checkpoints of CLAVER's earlier trees may still hold."""
    sizes = {"alpha": (embed,), "norm.weight": (embed,), "norm.bias": (embed,),
             "decoder.0.cross_attn.q_proj.weight": (embed, embed),
             "decoder.0.cross_attn.proj.bias": (embed,)}
    return {f"{name}.{key}": torch.randn(size, generator=generator) for key, size in sizes.items()}


def write_claver(out):
    for name, causal, seed, prefix in (("claver_kmt", False, 2, ""), ("claver_kmct", True, 3,
                                                                      "module.")):
        folder = folder_of(out, name)
        model = fill(CLIP(SMALL, width=8, layers=3, frames=3, temporal_layers=1), seed)
        state = collections.OrderedDict(model.state_dict())
        if not causal:
            generator = torch.Generator().manual_seed(seed)
            state.update(cross_modal("V2T", 8, generator))
            state.update(cross_modal("T2V", 8, generator))
        state = collections.OrderedDict((prefix + key, value) for key, value in state.items())
        trained = [p for key, p in model.named_parameters() if "temporal_" in key and p.ndim < 4]
        torch.save(trainer_dict(state, trained[:4], MASK_MODE="KMCT" if causal else "KMT"),
                   f"{folder}/best.pth")
        expect_own(folder, model, 100 + seed, SMALL, causal, frames=3)


def write_vificlip(out):
    """DistributedDataParallel's prefix, image_encoder and text_encoder, prompts already embedded;
    no token embedding, which is that of the CLIP it was tuned from: base.pt here."""
    folder = folder_of(out, "vificlip")
    model = fill(CLIP(SMALL, width=8), seed=4)
    state = collections.OrderedDict()
    prompts = torch.tensor([SMALL.encode(text) for text in TEXTS[:2]])
    state["module.prompt_learner.complete_text_embeddings"] = model.token_embedding(prompts).detach()
    base = fill(CLIP(SMALL, width=8), seed=5).state_dict()
    for name, value in model.state_dict().items():
        if name == "token_embedding.weight":
            base[name] = value
        elif name == "logit_scale":
            state["module.logit_scale"] = value
        elif name.startswith("visual."):
            state["module.image_encoder." + name[7:]] = value
        else:
            state["module.text_encoder." + name] = value
    saved = trainer_dict(state, [model.visual.proj, model.text_projection])
    saved["max_accuracy"] = numpy.float64(81.25)
    torch.save(saved, f"{folder}/best.pth")
    torch.save(base, f"{folder}/base.pt")
    expect_own(folder, model, 104, SMALL)


def write_xclip(out):
    """What X-CLIP's trainer saves of a plain CLIP, and of its own model, which is another kind."""
    folder = folder_of(out, "xclip_trainer")
    model = fill(CLIP(SMALL, width=8), seed=6)
    state = model.state_dict()
    torch.save(trainer_dict(state, [model.visual.proj]), f"{folder}/best.pth")
    expect_own(folder, model, 106, SMALL)
    other = fill(CLIP(SMALL, width=8, layers=1, text_width=4), seed=7).state_dict()
    block = "visual.transformer.resblocks.0.message_"
    for key, value in {**{"fc." + k: v for k, v in nn.Linear(8, 8).state_dict().items()},
                       **{"ln." + k: v for k, v in nn.LayerNorm(8).state_dict().items()},
                       **{"attn." + k: v
                          for k, v in nn.MultiheadAttention(8, 1).state_dict().items()}}.items():
        other[block + key] = torch.zeros_like(value)
    other["mit.positional_embedding"] = torch.zeros(1, 3, 8)
    other["prompts_generator.alpha"] = torch.zeros(8)
    other["prompts_visual_proj"] = torch.zeros(8, 8)
    torch.save({"model": other}, f"{folder}/xclip.pth")


# ---- Hugging Face ----------------------------------------------------------------------------

PREPROCESSOR = {"crop_size": 16, "do_center_crop": True, "do_normalize": True, "do_resize": True,
                "feature_extractor_type": "CLIPFeatureExtractor", "resample": 3, "size": 16,
                "image_mean": [0.48145466, 0.4578275, 0.40821073],
                "image_std": [0.26862954, 0.26130258, 0.27577711]}


def huggingface_model(seed, act, width, vision_heads, text_heads):
    import transformers
    text = dict(vocab_size=len(SMALL.ids), hidden_size=8, intermediate_size=20,
                num_hidden_layers=1, num_attention_heads=text_heads,
                max_position_embeddings=CONTEXT, hidden_act=act, projection_dim=8,
                bos_token_id=len(SMALL.ids) - 2, eos_token_id=len(SMALL.ids) - 1, pad_token_id=1)
    vision = dict(hidden_size=width, intermediate_size=50, num_hidden_layers=2,
                  num_attention_heads=vision_heads, image_size=16, patch_size=8, hidden_act=act,
                  projection_dim=8)
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    return fill(transformers.CLIPModel(config), seed)


def huggingface_ids(folder):
    """The texts' ids by transformers' own tokenizer, from the files in `folder`."""
    import transformers
    tokenizer = transformers.CLIPTokenizer(f"{folder}/vocab.json", f"{folder}/merges.txt")
    rows = []
    for text in TEXTS:
        ids = tokenizer(text.replace("&amp;", "&"), truncation=True, max_length=CONTEXT)
        rows.append(ids["input_ids"] + [0] * (CONTEXT - len(ids["input_ids"])))
    assert rows == [SMALL.encode(text) for text in TEXTS]
    return rows


def expect_huggingface(folder, model, seed, ids):
    import transformers
    model = copy.deepcopy(model).double()
    last = lambda frames: model.vision_model(frames).last_hidden_state
    with torch.no_grad():  # the library's own logits, of pictures
        picture = torch.randn(1, 3, 16, 16).double()
        text = torch.tensor(ids)
        whole = model(pixel_values=picture, input_ids=text).logits_per_image
        parts = model.logit_scale.exp() * F.normalize(model.get_image_features(picture), dim=-1) \
            @ F.normalize(model.get_text_features(text), dim=-1).T
        assert torch.allclose(whole, parts)
    expect(folder, f"transformers {transformers.__version__}", seed, 16, last, None,
           lambda _, frames: model.get_image_features(frames), model.get_text_features,
           model.logit_scale, SMALL, ids)


def write_huggingface(out):
    import safetensors
    import transformers
    del safetensors, transformers  # missing ones are noticed before a folder is emptied
    for name, seed, act, width, vision_heads, text_heads, options in (
            ("hf_safetensors", 8, "quick_gelu", 24, 3, 2, {"safe_serialization": True}),
            ("hf_bin", 9, "gelu", 16, 4, 4, {"safe_serialization": False}),
            ("hf_sharded", 10, "quick_gelu", 24, 12, 8, {"safe_serialization": True,
                                                         "max_shard_size": "20KB"}),
            ("hf_sharded_bin", 11, "gelu", 16, 2, 1, {"safe_serialization": False,
                                                      "max_shard_size": "30KB"})):
        folder = folder_of(out, name)
        model = huggingface_model(seed, act, width, vision_heads, text_heads)
        model.save_pretrained(folder, **options)
        with open(f"{folder}/preprocessor_config.json", "w", encoding="utf-8") as file:
            json.dump(PREPROCESSOR, file, indent=2)
        SMALL.write_pair(folder)
        expect_huggingface(folder, model, 100 + seed, huggingface_ids(folder))
        if name == "hf_sharded":
            prune_defaults(f"{folder}/config.json")
        if name == "hf_safetensors":
            SMALL.write_whole(folder)
            os.remove(f"{folder}/vocab.json")
            os.remove(f"{folder}/merges.txt")


def prune_defaults(path):
    """Later versions of transformers leave out what equals the library's defaults: here the
    activation, and the 12 and 8 heads."""
    import transformers
    with open(path, encoding="utf-8") as file:
        config = json.load(file)
    for key, default in (("text_config", transformers.CLIPTextConfig()),
                         ("vision_config", transformers.CLIPVisionConfig())):
        default = default.to_dict()
        config[key] = {k: v for k, v in config[key].items()
                       if k == "model_type" or k not in default or v != default[k]}
        assert "hidden_act" not in config[key] and "num_attention_heads" not in config[key]
    with open(path, "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)


# ---- OpenCLIP --------------------------------------------------------------------------------


def expect_openclip(folder, model, seed, side):
    import open_clip
    model = copy.deepcopy(model).double()
    kept = []
    model.visual.transformer.register_forward_hook(lambda module, x, y: kept.append(y))

    def tokens(frames):
        kept.clear()
        model.visual(frames)
        return kept[0].transpose(0, 1)  # [L, N, W] -> [N, L, W]

    from open_clip.version import __version__ as version
    expect(folder, f"open_clip {version}", seed, side, tokens, None,
           lambda _, frames: model.encode_image(frames), model.encode_text, model.logit_scale,
           SMALL)


def write_openclip(out):
    import open_clip
    import safetensors.torch
    bigger = {"embed_dim": 8,
              "vision_cfg": {"image_size": 12, "patch_size": 4, "width": 24, "layers": 1,
                             "head_width": 8, "mlp_ratio": 4.9231},
              "text_cfg": {"context_length": CONTEXT, "vocab_size": len(SMALL.ids), "width": 8,
                           "heads": 2, "layers": 1}}
    smaller = copy.deepcopy(bigger)
    smaller["vision_cfg"].update(width=16, mlp_ratio=3.0)
    # Under a "quickgelu" name, and with attention as wide as OpenAI's would have it.
    quick = {"embed_dim": 8, "quick_gelu": True,
             "vision_cfg": {"image_size": 16, "patch_size": 8, "width": 16, "layers": 2,
                            "head_width": 4},
             "text_cfg": {"context_length": CONTEXT, "vocab_size": len(SMALL.ids), "width": 8,
                          "heads": 1, "layers": 1}}
    for name, seed, settings, kind, files in (
            ("openclip_bin", 12, bigger, open_clip.CLIP, ["open_clip_pytorch_model.bin"]),
            ("openclip_safetensors", 13, quick, open_clip.CLIP, ["open_clip_model.safetensors"]),
            ("openclip_custom", 14, smaller, open_clip.CustomTextCLIP,
             ["open_clip_model.safetensors"])):
        folder = folder_of(out, name)
        model = fill(kind(**copy.deepcopy(settings)), seed)
        state = model.state_dict()
        for file in files:
            if file.endswith(".bin"):
                torch.save(state, f"{folder}/{file}")
            else:
                safetensors.torch.save_file({k: v.contiguous() for k, v in state.items()},
                                            f"{folder}/{file}")
        config = {"model_cfg": settings,
                  "preprocess_cfg": {"mean": PREPROCESSOR["image_mean"],
                                     "std": PREPROCESSOR["image_std"]}}
        if kind is open_clip.CustomTextCLIP:
            config["model_cfg"] = {**settings, "custom_text": True}
        with open(f"{folder}/open_clip_config.json", "w", encoding="utf-8") as file:
            json.dump(config, file, indent=4)
        SMALL.write_pair(folder)
        expect_openclip(folder, model, 100 + seed, settings["vision_cfg"]["image_size"])


# ---- one state dict in many forms ------------------------------------------------------------


def writable_views(state):
    """The same values through strides, offsets and shared storages."""
    out = collections.OrderedDict(state)
    shared = torch.cat([v.flatten() for k, v in state.items() if ".ln_" in k])
    at = 0
    for name, value in state.items():
        if ".ln_" in name:  # pieces of one storage
            out[name] = shared[at:at + value.numel()].view(value.shape)
            at += value.numel()
        elif name.endswith("c_fc.weight"):  # transposed
            out[name] = value.T.contiguous().T
        elif name.endswith("conv1.weight"):  # channels last
            out[name] = value.contiguous(memory_format=torch.channels_last)
        elif name.endswith("c_proj.weight"):  # every other column
            out[name] = torch.stack([value, -value], -1).flatten(1)[:, ::2]
        elif name.endswith("in_proj_bias"):  # a window of a larger storage
            out[name] = torch.cat([torch.ones(5), value, torch.ones(3)])[5:-3]
    # One row stands for all; and one tensor under two names.
    out["visual.positional_embedding"] = state["visual.positional_embedding"][:1].expand(5, -1)
    out["visual.class_embedding"] = out["visual.positional_embedding"][0]
    assert all(torch.equal(out[k], v) for k, v in state.items())
    return out


@contextlib.contextmanager
def numbered_storages():
    """torch.save's older form names storages by str() of their address in memory. While this
    lasts they get numbers of the same kind in order of appearance, the same in each run."""
    plain, seen = str, {}

    class Numbered(type):
        def __instancecheck__(cls, value):
            return isinstance(value, plain)

        def __call__(cls, value=""):
            if isinstance(value, int):
                return plain(94000000000000 + 64 * seen.setdefault(value, len(seen)))
            return plain(value)

    torch.serialization.str = Numbered("str", (), {})
    try:
        yield
    finally:
        del torch.serialization.str


def write_forms(out):
    folder = folder_of(out, "forms")
    model = fill(CLIP(BYTES, side=8, patch=4, width=8, layers=1, text_width=4), seed=15)
    with torch.no_grad():
        for name, p in model.named_parameters():
            # Seven bits and small exponents: exact in all four types.
            p.copy_(p.bfloat16().half().float() if p.abs().max() > 2 ** -8 else p)
            p.copy_(torch.where(p.abs() < 2 ** -10, torch.zeros_like(p), p))
        model.visual.positional_embedding.copy_(
            model.visual.positional_embedding[:1].expand(5, -1).clone())
        model.visual.class_embedding.copy_(model.visual.positional_embedding[0])
    state = model.state_dict()
    for value in state.values():
        assert torch.equal(value, value.half().float()) and torch.equal(value,
                                                                        value.bfloat16().float())
    expect_own(folder, model, 115, BYTES, frames=1)
    views = writable_views(state)

    def put(name, value, **options):
        torch.save(value, f"{folder}/{name}", **options)

    def put_legacy(name, value):
        with numbered_storages():
            put(name, value, _use_new_zipfile_serialization=False)

    put("zip.pt", state)
    put("zip_views.pt", views)
    put("zip_parameters.pt", collections.OrderedDict(model.named_parameters()))
    put("zip_module.pt", model)
    put("zip_nested.pt", {"epoch": 3, "name": "run", "scaler": {"scale": 65536.0, "growth": 2},
                          "state_dict": {"module." + k: v for k, v in state.items()}})
    put_legacy("legacy.pt", state)
    put_legacy("legacy_views.pt", views)
    put("zip_protocol4.pt", state, pickle_protocol=4)
    for name, dtype in (("f64", torch.float64), ("f16", torch.float16), ("bf16", torch.bfloat16)):
        put(f"zip_{name}.pt", {k: v.to(dtype) for k, v in state.items()})
    put_legacy("legacy_bf16.pt", {k: v.bfloat16() for k, v in state.items()})
    with open(f"{folder}/zip.pt", "rb") as file:
        rezip(file.read(), f"{folder}/zip_deflated.pt", zipfile.ZIP_DEFLATED)


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(
        os.path.abspath(__file__)), "checkpoints")
    torch.set_num_threads(1)
    for write in (write_openai, write_claver, write_vificlip, write_xclip, write_huggingface,
                  write_openclip, write_forms):
        try:
            write(out)
        except ImportError as error:
            print(f"{write.__name__[6:]}: left alone, {error}")


if __name__ == "__main__":
    main()
