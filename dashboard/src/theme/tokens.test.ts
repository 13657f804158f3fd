import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const css = readFileSync(join(import.meta.dirname, 'tokens.css'), 'utf8');

type ThemeName = 'light' | 'dark';

/** Reads `--name: light-dark(#a, #b)` and `--name: #a` out of the style sheet itself. */
function tokens(theme: ThemeName): Map<string, string> {
  const found = new Map<string, string>();
  for (const [, name, value] of css.matchAll(/--([a-z0-9-]+):\s*([^;]+);/g)) {
    const pair = /^light-dark\((#[0-9a-f]{6}),\s*(#[0-9a-f]{6})\)$/i.exec(value ?? '');
    const color = pair ? pair[theme === 'light' ? 1 : 2] : /^#[0-9a-f]{6}$/i.exec(value ?? '')?.[0];
    if (name && color) found.set(name, color);
  }
  return found;
}

function luminance(hex: string): number {
  const channel = (at: number) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
}

function contrast(left: string, right: string): number {
  const [light, dark] = [luminance(left), luminance(right)].toSorted((a, b) => b - a);
  return ((light ?? 0) + 0.05) / ((dark ?? 0) + 0.05);
}

const TEXT: readonly [text: string, grounds: string[]][] = [
  ['text', ['page', 'card', 'sunken', 'hover']],
  ['strong', ['page', 'card', 'sunken', 'hover', 'input']],
  ['dim', ['page', 'card', 'sunken', 'hover', 'input', 'unknown-soft']],
  ['link', ['page', 'card', 'sunken', 'hover']],
  ['ok', ['page', 'card', 'hover', 'ok-soft']],
  ['warn', ['page', 'card', 'hover', 'warn-soft']],
  ['bad', ['page', 'card', 'hover', 'bad-soft', 'sunken']],
  ['unknown', ['page', 'card', 'hover', 'unknown-soft']],
  ['brand-text', ['brand', 'brand-hover']],
  ['brand-dim', ['brand', 'brand-hover']],
  ['on-primary', ['primary', 'primary-hover']],
  ['on-danger', ['danger', 'danger-hover']],
];

const MARKS: readonly [mark: string, grounds: string[]][] = [
  ...['ok-bar', 'warn-bar', 'bad-bar', 'unknown-bar', 'input-line', 'focus'].map(
    (mark): [string, string[]] => [mark, ['page', 'card']],
  ),
  ...['1', '2', '3', '4', '5', '6', 'total'].map((series): [string, string[]] => [
    `series-${series}`,
    ['card'],
  ]),
  ['brand-mark', ['brand']],
  ['focus-on-brand', ['brand']],
];

describe.each<ThemeName>(['light', 'dark'])('the %s theme', (theme) => {
  const colors = tokens(theme);
  const of = (name: string) => {
    const color = colors.get(name);
    if (!color) throw new Error(`tokens.css has no colour ${name}`);
    return color;
  };

  it.each(TEXT.flatMap(([text, grounds]) => grounds.map((ground) => [text, ground])))(
    '%s can be read on %s',
    (text, ground) => {
      expect(contrast(of(text), of(ground))).toBeGreaterThanOrEqual(4.5);
    },
  );

  it.each(MARKS.flatMap(([mark, grounds]) => grounds.map((ground) => [mark, ground])))(
    '%s can be seen on %s',
    (mark, ground) => {
      expect(contrast(of(mark), of(ground))).toBeGreaterThanOrEqual(3);
    },
  );
});

describe('the brand', () => {
  it('keeps its colours', () => {
    const light = tokens('light');
    const dark = tokens('dark');
    expect(light.get('brand')).toBe('#003366');
    expect(light.get('page')).toBe('#f5f5f5');
    expect(light.get('text')).toBe('#333333');
    expect(dark.get('ok')).toBe('#00cc66');
    expect(light.get('brand-mark')).toBe('#00cc66');
  });
});
