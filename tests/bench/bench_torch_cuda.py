#!/usr/bin/env python3
"""What PyTorch reaches on the cases of bench_encode and bench_train: one JSON line a case.

usage: bench_torch_cuda.py [--device cuda|cpu] [--arch tiny] [--batch N]… [--quick] [--known FILE] [--within S] [CASE…]
    CASE is encode, temporal or train, or the start of a case's name ("encode vit-b-16"); all without

bf16 with torch.compile and scaled_dot_product_attention on CUDA; the same code uncompiled in fp32 on
a CPU, to try it. Every way to give the temporal mask that this PyTorch has is tried at a middling
batch, checked against the plain one in fp32, and the fastest goes on; batches double until the
throughput stops rising or memory ends; the best is compiled once more with max-autotune, and the
faster of the two counts. Frames come from pinned memory on a stream of their own, ahead of the work.

What is compiled takes minutes: runs are kept in the file that --known names, and are not made again by
a call with the same options. --within begins no run after so many seconds; the exit status is 3 then.
"""
import argparse
import gc
import json
import math
import os
import statistics
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import torch
from torch.nn import functional as F
import claver_torch as claver

ENCODE = [('vit-b-32', 8), ('vit-b-16', 8), ('vit-b-16', 32), ('vit-l-14', 8)]
TRAIN = [('vit-b-16', 8)]
PROMPTS, CLASSES, TEXT_TOKENS = 2, 20, 10
COSINE_MIN = 0.999
TUNED = 'max-autotune-no-cudagraphs'
is_cuda = False


def compiled(work, mode):
    if not is_cuda:
        return work
    return torch.compile(work, dynamic=False, **(dict(mode=mode) if mode else {}))


def pinned(tensor):
    return tensor.pin_memory() if is_cuda else tensor


class Feed:
    """Host tensors on their way to the device, one batch ahead of the work."""

    def __init__(self, hosts, device):
        self.hosts, self.device = [pinned(host) for host in hosts], device
        self.stream = torch.cuda.Stream() if is_cuda else None
        self.next = None
        self.load()

    def load(self):
        if not is_cuda:
            self.next = [host.to(self.device) for host in self.hosts]
            return
        with torch.cuda.stream(self.stream):
            self.next = [host.to(self.device, non_blocking=True) for host in self.hosts]
            self.arrived = self.stream.record_event()

    def take(self):
        batch = self.next
        if is_cuda:
            torch.cuda.current_stream().wait_event(self.arrived)
            for tensor in batch:
                tensor.record_stream(torch.cuda.current_stream())
        self.load()
        return batch


def measure(work, seconds_goal, runs_min=5):
    """Seconds of each run of work(), back to back, by the device's own clock."""
    for _ in range(3):
        work()
    if not is_cuda:
        runs = []
        while len(runs) < runs_min or sum(runs) < seconds_goal:
            start = time.perf_counter()
            work()
            runs.append(time.perf_counter() - start)
        return runs
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    count = max(runs_min, min(1000, int(seconds_goal / (time.perf_counter() - start)) + 1))
    events = [torch.cuda.Event(enable_timing=True) for _ in range(count + 1)]
    events[0].record()
    for event in events[1:]:
        work()
        event.record()
    torch.cuda.synchronize()
    return [a.elapsed_time(b) / 1000 for a, b in zip(events, events[1:])]


def forget():
    """What was compiled before keeps its model alive."""
    if is_cuda:
        torch._dynamo.reset()
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_mib():
    return torch.cuda.max_memory_allocated() / 2 ** 20 if is_cuda else None


class Known:
    """Runs that have been made, by this process or by one before, and how long there is for others."""

    def __init__(self, path, within):
        self.path, self.end, self.runs = path, time.monotonic() + within if within is not None else math.inf, {}
        if path and os.path.exists(path):
            with open(path, 'r+', encoding='utf-8') as file:
                text = file.read()
                whole = text[:text.rfind('\n') + 1]  # who was stopped may have left half a line
                file.truncate(len(whole))
            for entry in map(json.loads, whole.splitlines()):
                self.runs[tuple(entry['key'])] = entry['run']

    def keep(self, key, run):
        self.runs[key] = run
        if self.path:
            with open(self.path, 'a', encoding='utf-8') as file:
                print(json.dumps(dict(key=key, run=run)), file=file, flush=True)


class OutOfTime(Exception):
    pass


class Case:
    """One line of the result: prepare(batch, variant, mode) gives the work of one run."""

    def __init__(self, name, variants, prepare):
        self.name, self.variants, self.prepare = name, variants, prepare

    def make(self, batch, variant, mode, seconds_goal):
        """None where it cannot run so."""
        forget()
        try:
            runs = measure(self.prepare(batch, variant, mode), seconds_goal)
        except Exception as error:  # no memory, or a way this PyTorch does not have on this device
            print(f'{self.name}, {batch} clips, {variant}, {mode}: {type(error).__name__}: {str(error)[:300]}',
                  file=sys.stderr)
            return None
        print(f'{self.name}, {batch} clips, {variant}, {mode}: {batch / min(runs):.1f} clips/s', file=sys.stderr)
        return dict(speed=batch / min(runs), batch=batch, mode=mode, seconds_min=min(runs),
                    seconds_median=statistics.median(runs), runs=len(runs), memory=peak_mib())

    def run(self, batch, variant, mode, options):
        key = (self.name, batch, variant, mode, options.seconds)
        if key not in options.known.runs:
            if time.monotonic() >= options.known.end:
                raise OutOfTime
            options.known.keep(key, self.make(batch, variant, mode, options.seconds))
        return options.known.runs[key]

    def best(self, variant, batches, options):
        best, falls = None, 0
        for batch in batches:
            found = self.run(batch, variant, None, options)
            if not found:
                break
            falls = 0 if not best or found['speed'] > 1.02 * best['speed'] else falls + 1
            best = max(best or found, found, key=lambda run: run['speed'])
            if falls == 2:
                break
        if best and is_cuda and not options.quick:
            best = max(best, self.run(best['batch'], variant, TUNED, options) or best, key=lambda run: run['speed'])
        return best

    def report(self, options):
        """Whether there was something to print."""
        batches = options.batch or ([4 ** i if options.quick else 2 ** i for i in range(1 if options.quick else 2, 11)]
                                    if is_cuda else [1])
        middle = batches[min(2, len(batches) - 1)]
        tried = {variant: self.run(middle, variant, None, options) for variant in self.variants}
        speeds = {variant: found['speed'] for variant, found in tried.items() if found}
        best = self.best(max(speeds, key=speeds.get), batches, options) if speeds else None
        if not best:
            return False
        line = dict(bench='torch', case=self.name, precision='bf16' if is_cuda else 'fp32', batch=best['batch'],
                    clips_per_s=best['speed'], seconds_min=best['seconds_min'],
                    seconds_median=best['seconds_median'], runs=best['runs'], attention=max(speeds, key=speeds.get),
                    attentions=' '.join(f'{k}={v:.1f}' for k, v in speeds.items()),
                    compile=(best['mode'] or 'default') if is_cuda else 'none', memory_peak_mib=best['memory'])
        print(json.dumps(line), flush=True)
        return True


def check(variant, got, want):
    """Another mask, or a kernel that goes wrong, must not count as fast."""
    cosine = F.cosine_similarity(got.float(), want.float(), dim=-1).min().item()
    if not cosine >= COSINE_MIN:
        raise RuntimeError(f'{variant} computes something else: cosine {cosine}')


def encode_cases(arch, frames, device):
    torch.manual_seed(1)
    model = claver.Claver(claver.config_of(arch, frames)).eval().requires_grad_(False)
    side = model.config['side']
    pixels = torch.randint(0, 256, (1, frames, side, side, 3), dtype=torch.uint8)
    model.to(device)
    with torch.no_grad():
        want = model.vectors_of_pixels(pixels.to(device), model.sight('dense'))
        clip_tokens = model.visual.encode_frames(model.visual.normalise(pixels.to(device))[0])[None]
    if is_cuda:
        model.bfloat16()
    clip_tokens = clip_tokens.to(model.visual.proj.dtype)

    def work_of(encode, variant, take, batch):
        with torch.no_grad():
            check(variant, encode(take()), want)
        out = pinned(torch.empty(batch, model.config['embed'], dtype=model.visual.proj.dtype))

        def work():
            with torch.no_grad():
                out.copy_(encode(take()), non_blocking=True)
        return work

    def prepare_clips(batch, variant, mode):
        sight = model.sight(variant)
        feed = Feed([pixels.expand(batch, -1, -1, -1, -1).contiguous()], device)
        encode = compiled(lambda x: model.vectors_of_pixels(x, sight), mode)
        return work_of(encode, variant, lambda: feed.take()[0], batch)

    def prepare_windows(batch, variant, mode):
        sight = model.sight(variant)
        tokens = clip_tokens.expand(batch, -1, -1, -1).contiguous()
        encode = compiled(lambda x: model.vectors_of_tokens(x, sight), mode)
        return work_of(encode, variant, lambda: tokens, batch)

    yield Case(f'encode {arch} T{frames}', claver.VARIANTS, prepare_clips)
    yield Case(f'temporal {arch} T{frames}', claver.VARIANTS, prepare_windows)


def train_cases(arch, frames, device):
    def prepare(batch, variant, mode):
        torch.manual_seed(1)
        model = claver.Claver(claver.config_of(arch, frames)).to(device)
        side, vocabulary = model.config['side'], model.config['vocabulary']
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, betas=(.9, .98), weight_decay=1e-3,
                                      **(dict(fused=True) if is_cuda else {}))
        sight = model.sight(variant)
        ids = torch.randint(0, vocabulary - 1, (PROMPTS * CLASSES, TEXT_TOKENS))
        ids[:, -1] = vocabulary - 1
        labels = F.one_hot(torch.arange(batch) % CLASSES, CLASSES).float()
        pixels = torch.randint(0, 256, (batch, frames, side, side, 3), dtype=torch.uint8)
        feed = Feed([pixels, ids, labels], device)

        def loss_of(clips, texts, wanted):
            with torch.autocast('cuda' if is_cuda else 'cpu', torch.bfloat16, enabled=is_cuda):
                logits = model.logits(model.vectors_of_pixels(clips, sight), model.encode_text(texts), PROMPTS)
            return claver.soft_cross_entropy(logits, wanted)

        loss = compiled(loss_of, mode)
        seen = []

        def work():
            optimizer.zero_grad(set_to_none=True)
            value = loss(*feed.take())
            value.backward()
            optimizer.step()
            if not seen:
                seen.append(value.item())
                if not 0 < seen[0] < 100:
                    raise RuntimeError(f'{variant}: the loss is {seen[0]}')
        return work

    yield Case(f'train {arch} T{frames}', claver.VARIANTS, prepare)


def print_peak(device, side):
    """A square product, which says whether both sides of the comparison have the same machine."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16 if is_cuda else torch.float32)
            for _ in range(2))
    c = torch.empty_like(a)
    runs = measure(lambda: torch.matmul(a, b, out=c), 0.5)
    print(json.dumps(dict(bench='torch', case=f'product {side}', precision='bf16' if is_cuda else 'fp32',
                          gflops=2e-9 * side ** 3 / min(runs), torch=torch.__version__,
                          device=torch.cuda.get_device_name() if is_cuda else 'cpu')), flush=True)


def main():
    global is_cuda
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('cases', nargs='*')
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--arch', choices=claver.ARCHS, help='this one with 8 frames, in place of the usual ones')
    parser.add_argument('--batch', type=int, action='append')
    parser.add_argument('--seconds', type=float, default=2.0)
    parser.add_argument('--quick', action='store_true', help='no second round with max-autotune')
    parser.add_argument('--known', help='a file of runs that need not be made again, and to which others are added')
    parser.add_argument('--within', type=float, help='seconds after which no run is begun')
    options = parser.parse_args()
    options.known = Known(options.known, options.within)
    is_cuda = options.device.startswith('cuda')
    if is_cuda and not torch.cuda.is_available():
        raise SystemExit(f'PyTorch {torch.__version__} finds no CUDA device')
    if is_cuda:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        torch._dynamo.config.cache_size_limit = 64
    print_peak(options.device, 8192 if is_cuda else 512)
    missing, is_late = [], False
    for kinds, cases_of, listed in (('encode temporal', encode_cases, ENCODE), ('train', train_cases, TRAIN)):
        for arch, frames in [(options.arch, 8)] if options.arch else listed:
            names = [f'{kind} {arch} T{frames}' for kind in kinds.split()]
            wanted = [n for n in names if not options.cases or any(n.startswith(c) for c in options.cases)]
            if is_late and not any(key[0] in wanted for key in options.known.runs):
                continue
            for case in cases_of(arch, frames, options.device) if wanted else []:
                try:
                    if case.name in wanted and not case.report(options):
                        missing.append(case.name)
                except OutOfTime:
                    is_late = True
    if missing:
        raise SystemExit('nothing could be measured of ' + ', '.join(missing))
    if is_late:
        raise SystemExit(3)


if __name__ == '__main__':
    main()
