# SPDX-License-Identifier: MIT
"""XXH3, the 64-bit hash of xxHash 0.8, which the format has for checksums and for the index.

README.md, "Conventions": XXH3(x) has seed 0, XXH3(x, s) has seed s.

xxh3_pure() needs nothing but Python. xxh3() is the same function out of python3-xxhash if that is there:
a hundred times as fast.
"""

import struct

MASK = (1 << 64) - 1

P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2, P64_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P64_4, P64_5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
MIX_1, MIX_2 = 0x165667919E3779F9, 0x9FB21C651E98DF25

SECRET = bytes.fromhex("""
    b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f
    cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c
    3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8
    a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364
    eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e
    2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e""")

STRIPE = 64
BLOCK = (len(SECRET) - STRIPE) // 8 * STRIPE  # 1024: a stripe for every 8 bytes of the secret

_u32 = struct.Struct("<I").unpack_from
_u64 = struct.Struct("<Q").unpack_from
_eight = struct.Struct("<8Q").unpack_from


def _secret(at):
    return _u64(SECRET, at)[0]


def _fold(a, b):
    """The two halves of a 128-bit product."""
    product = a * b
    return (product & MASK) ^ (product >> 64)


def _rotate(h, by):
    return (h << by | h >> 64 - by) & MASK


def _swap(number, size):
    return int.from_bytes(number.to_bytes(size, "little"), "big")


def _avalanche(h):
    h &= MASK
    h = ((h ^ h >> 37) * MIX_1) & MASK
    return h ^ h >> 32


def _avalanche_of_xxh64(h):
    h &= MASK
    h = ((h ^ h >> 33) * P64_2) & MASK
    h = ((h ^ h >> 29) * P64_3) & MASK
    return h ^ h >> 32


def _mix_16(data, at, secret_at, seed):
    low, high = _u64(data, at)[0], _u64(data, at + 8)[0]
    return _fold(low ^ (_secret(secret_at) + seed & MASK),
                 high ^ (_secret(secret_at + 8) - seed & MASK))


def _hash_0_to_3(data, length, seed):
    if length == 0:
        return _avalanche_of_xxh64(seed ^ _secret(56) ^ _secret(64))
    combined = data[0] << 16 | data[length >> 1] << 24 | data[length - 1] | length << 8
    flip = (_u32(SECRET, 0)[0] ^ _u32(SECRET, 4)[0]) + seed & MASK
    return _avalanche_of_xxh64(combined ^ flip)


def _hash_4_to_8(data, length, seed):
    seed ^= _swap(seed & 0xFFFFFFFF, 4) << 32
    joined = _u32(data, length - 4)[0] + (_u32(data, 0)[0] << 32)
    h = joined ^ ((_secret(8) ^ _secret(16)) - seed & MASK)
    h ^= _rotate(h, 49) ^ _rotate(h, 24)
    h = h * MIX_2 & MASK
    h ^= (h >> 35) + length
    h = h * MIX_2 & MASK
    return h ^ h >> 28


def _hash_9_to_16(data, length, seed):
    low = _u64(data, 0)[0] ^ ((_secret(24) ^ _secret(32)) + seed & MASK)
    high = _u64(data, length - 8)[0] ^ ((_secret(40) ^ _secret(48)) - seed & MASK)
    return _avalanche(length + _swap(low, 8) + high + _fold(low, high))


def _hash_17_to_128(data, length, seed):
    h = length * P64_1
    for i in range((length - 1) // 32, -1, -1):
        h += _mix_16(data, 16 * i, 32 * i, seed)
        h += _mix_16(data, length - 16 * (i + 1), 32 * i + 16, seed)
    return _avalanche(h)


def _hash_129_to_240(data, length, seed):
    h = length * P64_1
    for i in range(8):
        h += _mix_16(data, 16 * i, 16 * i, seed)
    h = _avalanche(h)
    for i in range(8, length // 16):
        h += _mix_16(data, 16 * i, 16 * (i - 8) + 3, seed)
    return _avalanche(h + _mix_16(data, length - 16, 136 - 17, seed))


def _secret_of_seed(seed):
    words = [_u64(SECRET, at)[0] for at in range(0, len(SECRET), 8)]
    return struct.pack("<24Q", *(word + (seed if i % 2 == 0 else -seed) & MASK
                                 for i, word in enumerate(words)))


def _accumulate(lanes, words, keys):
    for i in range(8):
        word = words[i]
        key = word ^ keys[i]
        lanes[i ^ 1] += word
        lanes[i] += (key & 0xFFFFFFFF) * (key >> 32)


def _hash_long(data, length, seed):
    secret = SECRET if seed == 0 else _secret_of_seed(seed)
    keys = [_eight(secret, 8 * i) for i in range(BLOCK // STRIPE)]
    scramble = _eight(secret, len(secret) - STRIPE)
    lanes = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1]
    for at in range(0, length - 1, BLOCK):
        for i in range(min(BLOCK, length - 1 - at) // STRIPE):
            _accumulate(lanes, _eight(data, at + STRIPE * i), keys[i])
        if length - 1 - at >= BLOCK:
            for i, lane in enumerate(lanes):
                lane &= MASK
                lanes[i] = (lane ^ lane >> 47 ^ scramble[i]) * P32_1 & MASK
    _accumulate(lanes, _eight(data, length - STRIPE), _eight(secret, len(secret) - STRIPE - 7))
    h = length * P64_1
    for i in range(4):
        h += _fold((lanes[2 * i] & MASK) ^ _u64(secret, 11 + 16 * i)[0],
                   (lanes[2 * i + 1] & MASK) ^ _u64(secret, 19 + 16 * i)[0])
    return _avalanche(h)


def xxh3_pure(data, seed=0):
    """XXH3 of bytes, in Python alone."""
    length = len(data)
    if length <= 3:
        return _hash_0_to_3(data, length, seed)
    if length <= 8:
        return _hash_4_to_8(data, length, seed)
    if length <= 16:
        return _hash_9_to_16(data, length, seed)
    if length <= 128:
        return _hash_17_to_128(data, length, seed)
    if length <= 240:
        return _hash_129_to_240(data, length, seed)
    return _hash_long(data, length, seed)


try:
    from xxhash import xxh3_64_intdigest as xxh3  # pylint: disable=unused-import
except ImportError:
    xxh3 = xxh3_pure
