import { BEAT_HEIGHT, BEAT_WIDTH, heartbeatPaths, heartbeatText, rangeText } from './heartbeat-path.ts';

interface Props {
  beats: string;
  bucketSeconds: number;
  /** How many of the newest buckets to draw; all of them when absent. */
  shown?: number;
}

export function HeartbeatBar({ beats, bucketSeconds, shown = beats.length }: Props) {
  const drawn = beats.slice(-shown);
  const text = heartbeatText(drawn, rangeText(drawn.length, bucketSeconds));
  return (
    <svg
      class="heartbeat"
      viewBox={`0 0 ${drawn.length * BEAT_WIDTH - 1} ${BEAT_HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={text}
    >
      <title>{text}</title>
      {[...heartbeatPaths(drawn)].map(([beat, path]) => (
        <path key={beat} class={`beat-${beat}`} d={path} />
      ))}
    </svg>
  );
}
