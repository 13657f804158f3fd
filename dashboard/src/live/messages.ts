import type { MonitorEvent, Overview, OverviewUpdate } from '../api/types.ts';

export type Connection =
  | { state: 'connecting' }
  | { state: 'live' }
  /** The stream is gone since then; `polling` says whether the overview is fetched instead. */
  | { state: 'lost'; since: number; polling: boolean };

export type LiveMessage =
  | { type: 'snapshot'; overview: Overview }
  | { type: 'update'; id: string; update: OverviewUpdate }
  | { type: 'event'; event: MonitorEvent }
  | { type: 'connection'; connection: Connection };
