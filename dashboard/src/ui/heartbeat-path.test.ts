import { describe, expect, it } from 'vitest';
import { heartbeatPaths, heartbeatText, rangeText } from './heartbeat-path.ts';
import { sparklinePaths } from './sparkline.tsx';

describe('heartbeatPaths', () => {
  it('draws one path for each kind of beat, whatever their number', () => {
    const paths = heartbeatPaths(`${'h'.repeat(57)}fuu`);
    expect([...paths.keys()]).toEqual(['healthy', 'failed', 'unhealthy']);
    expect(paths.get('healthy')?.match(/M/g)).toHaveLength(57);
    expect(paths.get('unhealthy')).toBe('M232 0h3v24h-3zM236 0h3v24h-3z');
  });

  it('makes trouble taller than health', () => {
    const height = (beat: string) => Number(/v(\d+)/.exec([...heartbeatPaths(beat).values()][0] ?? '')?.[1]);
    expect(height('u')).toBeGreaterThan(height('h'));
    expect(height('f')).toBeGreaterThan(height('h'));
    expect(height('d')).toBeGreaterThan(height('h'));
    expect(height('h')).toBeGreaterThan(height('p'));
    expect(height('p')).toBeGreaterThan(height('.'));
  });

  it('draws what is unknown in dashes', () => {
    expect(heartbeatPaths('?').get('unknown')?.match(/M/g)).toHaveLength(3);
  });

  it('takes a letter of a newer server for no data', () => {
    expect([...heartbeatPaths('hx').keys()]).toEqual(['healthy', 'none']);
  });
});

it('tells the bar in words, worst first', () => {
  expect(heartbeatText('hhhfu.', 'last 6 min')).toBe(
    'last 6 min: 1 unhealthy, 1 check failed, 3 healthy, 1 no data',
  );
  expect(heartbeatText('', 'last 6 min')).toBe('last 6 min: no data');
});

it('labels the range', () => {
  expect(rangeText(60, 60)).toBe('last 60 min');
  expect(rangeText(60, 1440)).toBe('last 24 h');
  expect(rangeText(60, 43_200)).toBe('last 30 days');
});

describe('sparklinePaths', () => {
  it('leaves a gap where nothing was measured', () => {
    const { line, area } = sparklinePaths([10, 20, null, 20, 10]);
    expect(line.match(/M/g)).toHaveLength(2);
    expect(area.match(/Z/g)).toHaveLength(2);
  });

  it('draws nothing of nothing, and a lone value as a dot', () => {
    expect(sparklinePaths([null, null])).toEqual({ line: '', area: '' });
    expect(sparklinePaths([null, 5, null]).line).toContain('h0.1');
  });

  it('lies flat when all is zero', () => {
    expect(sparklinePaths([0, 0]).line).toBe('M0 22.5L96 22.5');
  });
});
