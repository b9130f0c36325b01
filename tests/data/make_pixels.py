#!/usr/bin/python3
"""Writes pixels.bin: what Pillow and OpenCV make of synthetic pictures (python3-pil, python3-opencv).

Each case is five little-endian 32-bit numbers (rule: 0 CLIP, 1 CLAVER; width; height; R; kind of
picture) and R * R * 3 bytes, rows top down, RGB. test_pixels.c draws the same pictures.
"""
import os
import struct

import cv2
import numpy
from PIL import Image

Image.MAX_IMAGE_PIXELS = None


def picture(width, height, kind):
    y, x, c = numpy.meshgrid(numpy.arange(height, dtype=numpy.uint32),
                             numpy.arange(width, dtype=numpy.uint32),
                             numpy.arange(3, dtype=numpy.uint32), indexing="ij")
    if kind == 0:  # noise
        v = x * numpy.uint32(73856093) ^ y * numpy.uint32(19349663) ^ c * numpy.uint32(83492791)
        v ^= v >> numpy.uint32(13)
        v *= numpy.uint32(1274126177)
        v ^= v >> numpy.uint32(16)
    elif kind == 1:  # slopes that wrap: smooth, with hard edges
        v = x * numpy.uint32(3) + y * numpy.uint32(5) + c * numpy.uint32(80)
    else:  # black and white blocks, where bicubic overshoots
        v = numpy.where((x // 3 + y // 3 + c) % 2 == 0, 0, 255)
    return (v & 255).astype(numpy.uint8)


def clip(image, side):
    height, width = image.shape[:2]
    short, long = min(width, height), max(width, height)
    long = int(side * long / short)
    size = (side, long) if width <= height else (long, side)
    left, top = (int(round((n - side) / 2.0)) for n in size)
    resized = Image.fromarray(image).resize(size, Image.BICUBIC)
    return numpy.asarray(resized.crop((left, top, left + side, top + side)))


def claver(image, side):
    height, width = image.shape[:2]
    factor = int(256 / 224 * side) / min(width, height)
    size = int(width * factor + 0.5), int(height * factor + 0.5)
    left, top = ((n - side) // 2 for n in size)
    resized = cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
    return resized[top:top + side, left:left + side]


SIZES = [
    (160, 120, 32), (320, 240, 28), (64, 48, 32), (33, 47, 32), (7, 5, 16), (1, 1, 14),
    (1, 40, 14), (40, 1, 14), (2, 3, 16), (97, 31, 24), (31, 97, 24), (301, 299, 33),
    (640, 37, 24), (37, 640, 24), (32, 32, 32), (64, 64, 28), (128, 64, 28), (16384, 8, 16),
    (8, 16384, 16), (1, 16384, 8), (720, 576, 48), (73, 73, 64), (9, 200, 17), (411, 97, 56),
]


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "pixels.bin")
    with open(path, "wb") as out:
        for number, (width, height, side) in enumerate(SIZES):
            image = picture(width, height, number % 3)
            for rule, resize in enumerate((clip, claver)):
                out.write(struct.pack("<5i", rule, width, height, side, number % 3))
                out.write(numpy.ascontiguousarray(resize(image, side)).tobytes())


if __name__ == "__main__":
    main()
