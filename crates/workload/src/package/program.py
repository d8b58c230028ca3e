"""Work for a Python interpreter: what it prints is always the same."""


def words(count):
    """Counts made-up words in a dictionary."""
    seed, table = 1, {}
    for _ in range(count):
        seed = (seed * 1103515245 + 12345) % 2147483648
        word = "word%d" % (seed >> 20)
        table[word] = table.get(word, 0) + 1
    ordered = sorted(table.items(), key=lambda item: (-item[1], item[0]))
    return ",".join("%s=%d" % item for item in ordered[:5])


class Body:
    """A mass that others attract."""

    def __init__(self, x, y, mass):
        self.x, self.y, self.mass = x, y, mass
        self.vx = self.vy = 0.0


def bodies(steps):
    """Moves five bodies."""
    system = [Body(i * 1.5, (i * i) % 7, 1.0 + i) for i in range(5)]
    for _ in range(steps):
        for one in system:
            for other in system:
                if one is not other:
                    dx, dy = other.x - one.x, other.y - one.y
                    pull = other.mass * 0.0001 / (dx * dx + dy * dy + 0.01) ** 1.5
                    one.vx += dx * pull
                    one.vy += dy * pull
        for one in system:
            one.x += one.vx
            one.y += one.vy
    return "%.9f" % sum(one.x + one.y for one in system)


def primes(limit):
    """The sieve of Eratosthenes, by slices."""
    sieve = bytearray([1]) * limit
    for n in range(2, int(limit**0.5) + 1):
        if sieve[n]:
            sieve[n * n :: n] = bytes(len(range(n * n, limit, n)))
    return sum(sieve) - 2


def queens(size):
    """Solutions of the queens' problem, by a generator."""

    def place(row, columns, left, right):
        if row == size:
            yield 1
            return
        for column in range(size):
            if not (columns >> column & 1 or left >> (row + column) & 1 or right >> (row - column + size) & 1):
                yield from place(row + 1, columns | 1 << column, left | 1 << (row + column), right | 1 << (row - column + size))

    return sum(place(0, 0, 0, 0))


print(words(120000))
print(bodies(3000))
print(primes(1000000))
print(queens(8))
print(str(3**4000)[:40], pow(7, 10**300, 10**60))
