import { describe, expect, it } from 'vitest';
import { align, seriesLabel, stack, toCsv } from './series.ts';

describe('align', () => {
  it('puts series on one time line, with nothing where one has nothing', () => {
    const aligned = align(
      [
        {
          points: [
            [0, 1],
            [15, 2],
          ],
        },
        { points: [[15, 5]] },
      ],
      15,
    );
    expect(aligned).toEqual({
      times: [0, 15],
      columns: [
        [1, 2],
        [null, 5],
      ],
    });
  });

  it('breaks the line where a step is missing', () => {
    const aligned = align(
      [
        {
          points: [
            [0, 1],
            [15, 2],
            [60, 3],
          ],
        },
      ],
      15,
    );
    expect(aligned).toEqual({ times: [0, 15, 30, 60], columns: [[1, 2, null, 3]] });
  });

  it('forgives points that are a little late', () => {
    expect(
      align(
        [
          {
            points: [
              [0, 1],
              [20, 2],
            ],
          },
        ],
        15,
      ).times,
    ).toEqual([0, 20]);
  });
});

describe('stack', () => {
  it('sums from below, counts a missing part as nothing, and a missing check as missing', () => {
    const sums = stack([
      [1, 2, null],
      [10, null, null],
      [100, null, null],
    ]);
    expect(sums).toEqual([
      [1, 2, null],
      [11, 2, null],
      [111, 2, null],
    ]);
  });
});

it('labels a series by what tells it from others', () => {
  expect(seriesLabel({ monitor: 'x', location: 'default', database: 'shop', state: 'idle' })).toBe(
    'shop, idle',
  );
  expect(seriesLabel({})).toBe('');
});

it('writes numbers any tool can read', () => {
  const csv = toCsv([0, 60], [{ label: 'DNS, "cached"', values: [0.5, null] }]);
  expect(csv).toBe('time,"DNS, ""cached"""\n1970-01-01T00:00:00.000Z,0.5\n1970-01-01T00:01:00.000Z,\n');
});
