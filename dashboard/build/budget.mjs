// Fails when the built dashboard outgrows its budget. Sizes are of the .gz files a browser would fetch.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const dist = process.argv[2] ?? 'dist';
const KB = 1000;
const BUDGETS = { 'first view, script': 60 * KB, 'first view, style': 15 * KB, 'loaded on demand': 30 * KB };

const html = readFileSync(join(dist, 'index.html'), 'utf8');
const sizes = { 'first view, script': 0, 'first view, style': 0, 'loaded on demand': 0 };

for (const name of readdirSync(join(dist, 'assets'))) {
  if (!/\.(?:js|css)$/.test(name)) continue;
  const size = statSync(join(dist, 'assets', `${name}.gz`)).size;
  if (!html.includes(name)) sizes['loaded on demand'] += size;
  else if (name.endsWith('.js')) sizes['first view, script'] += size;
  else sizes['first view, style'] += size;
}

let exceeded = false;
for (const [what, limit] of Object.entries(BUDGETS)) {
  const over = sizes[what] > limit;
  exceeded ||= over;
  console.log(`${over ? 'OVER ' : 'ok   '} ${what}: ${(sizes[what] / KB).toFixed(1)} of ${limit / KB} kB gz`);
}
if (/<style|<script(?![^>]*\bsrc=)|\sstyle=/.test(html)) {
  console.log('OVER  index.html carries inline script or style, which the content security policy refuses');
  exceeded = true;
}
process.exit(exceeded ? 1 : 0);
