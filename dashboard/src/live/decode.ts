import type {
  Overview,
  OverviewGroup,
  OverviewItem,
  OverviewUpdate,
  WireOverview,
  WireUpdate,
} from '../api/types.ts';
import { STATUSES } from '../status/status.ts';

/*
 * The overview comes as an array for each monitor: ten thousand of them are two megabytes and not seven. Here they become
 * objects. `fields` of the snapshot says what the places of an array are; updates follow it.
 */

const NO_LATENCY = '!';
/** The letters of latencies, the lowest first. */
const LETTERS = "#$%&'()*+,-./:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~";
const LOWEST_MS = 0.01;
const RATIO = 1.22;

/** `57.hf.` becomes 57 points, h, f and a point. */
export function lengthen(text: string): string {
  return text.replace(/(\d+)(\D)/g, (_, count: string, letter: string) => letter.repeat(Number(count)));
}

/** Latencies in milliseconds from their letters, each right to an eighth. */
export function decodeLevels(text: string): (number | null)[] {
  return Array.from(lengthen(text), (letter) =>
    letter === NO_LATENCY ? null : LOWEST_MS * RATIO ** LETTERS.indexOf(letter),
  );
}

function date(seconds: unknown): string | null {
  return typeof seconds === 'number' ? new Date(seconds * 1000).toISOString() : null;
}

/** Reads items: each place of an array by its name. */
export class Decoder {
  readonly #place: ReadonlyMap<string, number>;
  readonly #statuses: readonly string[];
  #groups: readonly OverviewGroup[] = [];

  constructor(wire: Pick<WireOverview, 'fields' | 'statuses' | 'groups'>) {
    this.#place = new Map(wire.fields.map((name, index) => [name, index]));
    this.#statuses = wire.statuses;
    this.#groups = groups(wire.groups);
  }

  overview(wire: WireOverview): Overview {
    const { fields: _, statuses: __, groups: ___, items, ...rest } = wire;
    return { ...rest, groups: this.#groups, items: items.map((item) => this.#item(item)) };
  }

  update(wire: WireUpdate): OverviewUpdate {
    if (wire.groups !== undefined) this.#groups = groups(wire.groups);
    return {
      time: wire.time,
      bucket_end: wire.bucket_end,
      counts: wire.counts,
      removed: wire.removed,
      groups: this.#groups,
      items: wire.items.map((item) => this.#item(item)),
    };
  }

  #item(array: readonly unknown[]): OverviewItem {
    const at = (name: string): unknown => array[this.#place.get(name) ?? -1];
    const group = this.#groups[at('group') as number]?.name ?? '';
    const status = STATUSES.find((known) => known === this.#statuses[at('status') as number]);
    return {
      id: at('id') as string,
      name: at('name') as string,
      kind: at('kind') as string,
      status: status ?? 'unknown',
      down: at('down') === 1,
      since: date(at('since')),
      reason: (at('reason') as string | null) ?? null,
      latency_ms: (at('latency_ms') as number | null) ?? null,
      uptime_24h: (at('uptime_24h') as number | null) ?? null,
      beats: lengthen(at('beats') as string),
      latency: decodeLevels(at('latency') as string),
      interval_seconds: at('interval_seconds') as number,
      tags: { ...(at('tags') as Record<string, string>), ...(group === '' ? {} : { group }) },
      depends_on: at('depends_on') as string[],
      last_check: date(at('last_check')),
      group,
      slot: at('slot') as number,
    };
  }
}

function groups(wire: WireOverview['groups']): OverviewGroup[] {
  return wire.map(([name, x, y, radius]) => ({ name, x, y, radius }));
}

/** An overview as it comes from the server, with what reads the updates that follow it. */
export function decodeOverview(wire: WireOverview): { overview: Overview; decoder: Decoder } {
  const decoder = new Decoder(wire);
  return { overview: decoder.overview(wire), decoder };
}
