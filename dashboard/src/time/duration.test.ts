import { expect, it } from 'vitest';
import { parseDuration, sameDuration } from './duration.ts';

it.each([
  ['500ms', 0.5],
  ['30s', 30],
  ['5m', 300],
  ['1h30m', 5400],
  [' 2d ', 172_800],
  ['0s', 0],
])('%s is %s seconds', (text, seconds) => {
  expect(parseDuration(text)).toBe(seconds);
});

it.each(['', '30', 's', '5 minutes', '1x', '-5s', '1m ago', '1s1h', '1s1s'])(
  '"%s" is no duration',
  (text) => {
    expect(parseDuration(text)).toBeNull();
  },
);

it('compares what durations mean, not how they are written', () => {
  expect(sameDuration('60s', '1m')).toBe(true);
  expect(sameDuration('90s', '1h30m')).toBe(false);
  expect(sameDuration('soon', '1m')).toBe(false);
});
