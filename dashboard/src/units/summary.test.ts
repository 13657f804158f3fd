import { expect, it } from 'vitest';
import { summarise } from './summary.ts';

it('counts only what was measured', () => {
  const values = [null, ...Array.from({ length: 20 }, (_, index) => index + 1), undefined];
  expect(summarise(values)).toEqual({ min: 1, mean: 10.5, p95: 19, max: 20, last: 20, count: 20 });
});

it('has nothing to say about nothing', () => {
  expect(summarise([null, null])).toBeNull();
});
