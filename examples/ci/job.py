"""A check for a CI pipeline, in parallel on the workers: counts the primes below two million, and fails if it is wrong.

examples/ci/github-actions.yml runs it.
"""

import ray

LIMIT, EXPECTED, PARTS = 2_000_000, 148_933, 8


@ray.remote(num_cpus=1)
def primes(begin: int, end: int) -> int:
    """Count the primes in a range with a sieve."""
    composite = bytearray(end - begin)
    for number in range(2, int(end**0.5) + 1):
        first = max(number * number, -(-begin // number) * number)
        composite[first - begin :: number] = b"\1" * len(range(first, end, number))
    return composite.count(0) - max(0, 2 - begin)


if __name__ == "__main__":
    ray.init()
    size = LIMIT // PARTS
    found = sum(ray.get([primes.remote(part * size, (part + 1) * size) for part in range(PARTS)]))
    print(f"{found} primes below {LIMIT}")
    raise SystemExit(0 if found == EXPECTED else f"expected {EXPECTED}")
