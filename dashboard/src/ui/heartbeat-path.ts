import { type Beat, beatOf, beatWord } from '../status/status.ts';

export const BEAT_WIDTH = 4;
export const BEAT_HEIGHT = 24;
const BAR = 3;

/** How tall a beat stands: trouble is taller than health, and no data is a gap with a dot. */
const HEIGHTS: Record<Beat, number> = {
  unhealthy: 24,
  failed: 24,
  degraded: 21,
  healthy: 17,
  unknown: 14,
  maintenance: 10,
  paused: 7,
  none: 2,
};

/** One path for each kind of beat, so that a bar of any length is a handful of nodes. */
export function heartbeatPaths(beats: string): Map<Beat, string> {
  const paths = new Map<Beat, string>();
  for (let index = 0; index < beats.length; index += 1) {
    const beat = beatOf(beats[index]);
    paths.set(beat, (paths.get(beat) ?? '') + bar(index * BEAT_WIDTH, beat));
  }
  return paths;
}

function bar(x: number, beat: Beat): string {
  const height = HEIGHTS[beat];
  const top = BEAT_HEIGHT - height;
  // What is not known is drawn in dashes, as everywhere else.
  if (beat === 'unknown')
    return `${rectangle(x, top, 4)}${rectangle(x, top + 5, 4)}${rectangle(x, top + 10, 4)}`;
  return rectangle(x, top, height);
}

function rectangle(x: number, y: number, height: number): string {
  return `M${x} ${y}h${BAR}v${height}h-${BAR}z`;
}

const SPOKEN: readonly Beat[] = [
  'unhealthy',
  'failed',
  'degraded',
  'unknown',
  'maintenance',
  'paused',
  'healthy',
  'none',
];

/** The bar in words: `last 60 min: 2 unhealthy, 57 healthy, 1 no data`. */
export function heartbeatText(beats: string, range: string): string {
  const counts = new Map<Beat, number>();
  for (const character of beats) {
    const beat = beatOf(character);
    counts.set(beat, (counts.get(beat) ?? 0) + 1);
  }
  const parts = SPOKEN.filter((beat) => counts.has(beat)).map(
    (beat) => `${counts.get(beat)} ${beatWord(beat).toLowerCase()}`,
  );
  return `${range}: ${parts.join(', ') || 'no data'}`;
}

/** `last 60 min`, for the label beside the bar. */
export function rangeText(buckets: number, bucketSeconds: number): string {
  const seconds = buckets * bucketSeconds;
  if (seconds <= 7200) return `last ${Math.round(seconds / 60)} min`;
  if (seconds <= 172_800) return `last ${Math.round(seconds / 3600)} h`;
  return `last ${Math.round(seconds / 86_400)} days`;
}
