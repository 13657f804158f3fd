import { describe, expect, it } from 'vitest';
import { millisecondsText, uptimeText, valueText } from './format.ts';

describe('uptimeText', () => {
  it.each([
    [1, '100 %'],
    [0.99996, '99.99 %'],
    [0.999999999, '99.99 %'],
    [0.9993, '99.93 %'],
    [0.9951, '99.51 %'],
    [0.5, '50.00 %'],
    [0, '0.00 %'],
    [null, '–'],
    [Number.NaN, '–'],
  ])('%s reads %s', (ratio, text) => {
    expect(uptimeText(ratio)).toBe(text);
  });

  it('keeps every hundredth that a binary fraction cannot hold exactly', () => {
    for (let hundredths = 0; hundredths < 10_000; hundredths += 1) {
      expect(uptimeText(hundredths / 10_000)).toBe(`${(hundredths / 100).toFixed(2)} %`);
    }
  });

  it('says 100 % of nothing less than all', () => {
    expect(uptimeText(1 - 1e-12)).toBe('99.99 %');
  });
});

describe('millisecondsText', () => {
  it.each([
    [null, '–'],
    [0, '0 ms'],
    [0.05, '50 µs'],
    [0.4, '0.4 ms'],
    [8.412, '8.41 ms'],
    [21.84, '21.8 ms'],
    [215.3, '215 ms'],
    [999.6, '1 s'],
    [1234, '1.23 s'],
    [90_000, '90 s'],
    [600_000, '10 min'],
  ])('%s reads %s', (value, text) => {
    expect(millisecondsText(value)).toBe(text);
  });
});

describe('valueText', () => {
  it.each([
    [0.0123, 'seconds', '12.3 ms'],
    [0, 'seconds', '0 s'],
    [39 * 86_400, 'seconds', '39 d'],
    [38.25, 'days', '38.3 d'],
    [61.5, 'celsius', '61.5 °C'],
    [48_200, 'bytes', '47.1 KiB'],
    [1023.7, 'bytes', '1 KiB'],
    [0.253, 'ratio', '25.3 %'],
    [200, 'state', '200'],
    [3, 'count', '3'],
    [1_234_567, 'total', '1,234,567'],
    [4, 'open_connections', '4 open connections'],
    [null, 'seconds', '–'],
  ])('%s %s reads %s', (value, unit, text) => {
    expect(valueText(value, unit)).toBe(text);
  });
});
