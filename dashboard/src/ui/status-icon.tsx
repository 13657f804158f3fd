import type { JSX } from 'preact';
import type { Status } from '../api/types.ts';
import { statusWord } from '../status/status.ts';

const TONES: Record<Status, string> = {
  healthy: 'tone-ok',
  degraded: 'tone-warn',
  unhealthy: 'tone-bad',
  unknown: 'tone-unknown',
  paused: 'tone-unknown',
  maintenance: 'tone-unknown',
};

export function toneOf(status: Status): string {
  return TONES[status];
}

/** A shape and a glyph for each status, so that colour is never the only difference. */
const DRAWINGS: Record<Status, JSX.Element> = {
  healthy: (
    <>
      <circle class="shape" cx="10" cy="10" r="8.5" />
      <path class="glyph" d="M6.2 10.3l2.6 2.6 5-5.4" />
    </>
  ),
  degraded: (
    <>
      <path
        class="shape"
        d="M8.9 2.2a1.3 1.3 0 0 1 2.2 0l7.6 13.6a1.3 1.3 0 0 1-1.1 1.9H2.4a1.3 1.3 0 0 1-1.1-1.9Z"
      />
      <path class="glyph" d="M10 7.4v4.2M10 14.4v.1" />
    </>
  ),
  unhealthy: (
    <>
      <path class="shape" d="M6.4 1.5h7.2l4.9 4.9v7.2l-4.9 4.9H6.4l-4.9-4.9V6.4Z" />
      <path class="glyph" d="M7 7l6 6M13 7l-6 6" />
    </>
  ),
  unknown: (
    <>
      <circle class="hollow" cx="10" cy="10" r="8" stroke-dasharray="3.1 1.9" />
      <path class="hollow-glyph" d="M8 8.2a2.1 2.1 0 1 1 3.2 1.8c-.8.5-1.2.9-1.2 1.7M10 14v.1" />
    </>
  ),
  paused: (
    <>
      <rect class="hollow" x="2" y="2" width="16" height="16" rx="4" />
      <path class="hollow-glyph" d="M7.8 7v6M12.2 7v6" />
    </>
  ),
  maintenance: (
    <>
      <path class="hollow" d="M10 1.6l7.3 4.2v8.4L10 18.4l-7.3-4.2V5.8Z" />
      <path class="hollow-glyph" d="M10 6.5v4l2.6 1.6" />
    </>
  ),
};

export function StatusIcon({ status }: { status: Status }) {
  return (
    <svg class={`status-icon ${toneOf(status)}`} viewBox="0 0 20 20" aria-hidden="true" focusable="false">
      {DRAWINGS[status]}
    </svg>
  );
}

/** The icon with its word. */
export function StatusLabel({ status, down = false }: { status: Status; down?: boolean }) {
  return (
    <span class={`status ${toneOf(status)}`}>
      <StatusIcon status={status} />
      {statusWord(status, down)}
    </span>
  );
}
