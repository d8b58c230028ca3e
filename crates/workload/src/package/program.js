// Work for a JavaScript engine that compiles as it runs: what it prints is always the same.
"use strict";

class Tree {
  constructor(depth) {
    this.left = depth > 0 ? new Tree(depth - 1) : null;
    this.right = depth > 0 ? new Tree(depth - 1) : null;
  }

  count() {
    return 1 + (this.left ? this.left.count() + this.right.count() : 0);
  }
}

function trees(rounds) {
  let total = 0;
  for (let i = 0; i < rounds; i++) total += new Tree(12).count();
  return total;
}

function matrix(size) {
  const a = new Float64Array(size * size).map((_, i) => (i % 13) - 6);
  const b = new Float64Array(size * size).map((_, i) => (i % 7) - 3);
  const c = new Float64Array(size * size);
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++) {
      let sum = 0;
      for (let k = 0; k < size; k++) sum += a[i * size + k] * b[k * size + j];
      c[i * size + j] = sum;
    }
  return c.reduce((sum, x) => sum + x, 0);
}

function words(count) {
  const table = new Map();
  let seed = 1;
  for (let i = 0; i < count; i++) {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff;
    const word = "word" + (seed >> 20);
    table.set(word, (table.get(word) ?? 0) + 1);
  }
  return [...table].sort((x, y) => y[1] - x[1] || (x[0] < y[0] ? -1 : 1)).slice(0, 5).join();
}

// Functions that are made while the program runs, each compiled on its own.
function generated(count) {
  let x = 1;
  for (let i = 0; i < count; i++) {
    const step = new Function("x", `let y = x; for (let i = 0; i < 200; i++) y = (y * ${i + 3} + i) % 65521; return y;`);
    x = step(x) + step(x + 1);
  }
  return x;
}

function json(rounds) {
  const value = Array.from({ length: 200 }, (_, i) => ({ id: i, name: "name" + i, tags: ["a", "b", String(i)] }));
  let length = 0;
  for (let i = 0; i < rounds; i++) length += JSON.stringify(JSON.parse(JSON.stringify(value))).length;
  return length;
}

console.log(trees(20), matrix(120), words(100000), generated(200), json(50));
