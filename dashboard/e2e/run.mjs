// Runs every spec against the server at BASE_URL, one after the other, in a real browser.
import { readdirSync } from 'node:fs';
import { BASE_URL } from './lib/browser.mjs';
import { removeOwn } from './lib/server.mjs';
import { runAll } from './lib/test.mjs';

const specs = new URL('./specs/', import.meta.url);
const only = process.argv[2] ?? '';

const answer = await fetch(`${BASE_URL}/api/v1/overview`).catch(() => null);
if (!answer?.ok) {
  console.log(`no server answers at ${BASE_URL}: start one, and name it in BASE_URL`);
  process.exit(2);
}

for (const file of readdirSync(specs).toSorted()) {
  if (file.endsWith('.mjs') && file.includes(only)) await import(new URL(file, specs));
}
let good = false;
try {
  good = await runAll();
} finally {
  await removeOwn();
}
process.exit(good ? 0 : 1);
