import type { Entry } from './state.ts';

export interface Beats {
  beats: string;
  latency: readonly (number | null)[];
}

/**
 * The beats of an entry moved to end at `bucketEnd`. Only monitors that changed are sent, so a quiet one was
 * counted to an older bucket, and the buckets since then hold nothing.
 */
export function alignBeats(entry: Entry, bucketEnd: number, bucketSeconds: number): Beats {
  const { beats, latency } = entry.item;
  const behind = Math.min(
    beats.length,
    Math.max(0, Math.round((bucketEnd - entry.bucketEnd) / bucketSeconds)),
  );
  if (behind === 0) return { beats, latency };
  return {
    beats: beats.slice(behind) + '.'.repeat(behind),
    latency: [...latency.slice(behind), ...new Array<null>(behind).fill(null)],
  };
}

/** The end of the bucket that is filling at a moment, which moves on even when the server is silent. */
export function currentBucketEnd(lastKnown: number, bucketSeconds: number, nowMs: number): number {
  if (lastKnown === 0) return 0;
  const ahead = Math.ceil((nowMs / 1000 - lastKnown) / bucketSeconds);
  return lastKnown + Math.max(0, ahead) * bucketSeconds;
}
