import { signal } from '@preact/signals';
import { api } from '../api/client.ts';
import type { Settings } from '../api/types.ts';
import { instanceZone } from '../time/zone.ts';

/** What the server says about itself; null until it has. */
export const server = signal<Settings | null>(null);

export async function loadServer(): Promise<void> {
  try {
    server.value = await api.settings();
    instanceZone.value = server.value.time_zone;
  } catch {
    // The list says that the server is away, and every overview brings the zone along as well.
  }
}
