import { describe, expect, it } from 'vitest';
import { absolute, compact, hourMinute, lasting, relative, stopwatch } from './format.ts';
import {
  fromWallText,
  isZone,
  offsetLabel,
  offsetMinutes,
  resolveZone,
  toWallText,
  zoneLabel,
} from './zone.ts';

const at = (text: string) => new Date(text);

describe('labels', () => {
  it.each([
    ['Asia/Kolkata', '2026-11-21T10:00:00Z', 'IST'],
    ['UTC', '2026-11-21T10:00:00Z', 'UTC'],
    ['Europe/London', '2026-07-01T10:00:00Z', 'BST'],
    ['Europe/London', '2026-12-01T10:00:00Z', 'GMT'],
    ['America/New_York', '2026-07-01T10:00:00Z', 'EDT'],
    ['America/New_York', '2026-12-01T10:00:00Z', 'EST'],
    ['Asia/Kathmandu', '2026-12-01T10:00:00Z', 'UTC+05:45'],
    ['America/Sao_Paulo', '2026-12-01T10:00:00Z', 'UTC−03:00'],
  ])('%s at %s is %s', (zone, moment, label) => {
    expect(zoneLabel(zone, at(moment))).toBe(label);
  });

  it('prints offsets with their sign', () => {
    expect(offsetLabel(330)).toBe('UTC+05:30');
    expect(offsetLabel(-210)).toBe('UTC−03:30');
    expect(offsetLabel(0)).toBe('UTC');
  });
});

describe('daylight saving', () => {
  it('follows the offset through the year', () => {
    expect(offsetMinutes('Europe/Berlin', at('2026-03-29T00:59:59Z'))).toBe(60);
    expect(offsetMinutes('Europe/Berlin', at('2026-03-29T01:00:00Z'))).toBe(120);
    expect(offsetMinutes('Australia/Lord_Howe', at('2026-01-01T00:00:00Z'))).toBe(660);
    expect(offsetMinutes('Australia/Lord_Howe', at('2026-07-01T00:00:00Z'))).toBe(630);
  });

  it('reads wall time on both sides of the change', () => {
    expect(fromWallText('Europe/Berlin', '2026-03-29T01:59')?.toISOString()).toBe('2026-03-29T00:59:00.000Z');
    expect(fromWallText('Europe/Berlin', '2026-03-29T03:00')?.toISOString()).toBe('2026-03-29T01:00:00.000Z');
  });

  it('reads an hour that is skipped as the moment after the jump', () => {
    expect(fromWallText('Europe/Berlin', '2026-03-29T02:30')?.toISOString()).toBe('2026-03-29T01:30:00.000Z');
  });

  it('reads an hour that comes twice as the first', () => {
    expect(fromWallText('Europe/Berlin', '2026-10-25T02:30')?.toISOString()).toBe('2026-10-25T00:30:00.000Z');
  });

  it('goes there and back', () => {
    for (const zone of ['Asia/Kolkata', 'America/New_York', 'Pacific/Chatham', 'UTC']) {
      const moment = at('2026-11-21T10:05:00Z');
      expect(fromWallText(zone, toWallText(zone, moment))).toEqual(moment);
    }
  });

  it('refuses what is no time', () => {
    expect(fromWallText('UTC', 'yesterday')).toBeNull();
  });
});

describe('texts', () => {
  it('prints the zone beside every time', () => {
    expect(absolute(at('2026-11-21T10:00:05Z'), 'Asia/Kolkata')).toBe('21 Nov 2026, 15:30:05 IST');
    expect(absolute(at('2026-11-20T20:00:05Z'), 'Asia/Kolkata')).toBe('21 Nov 2026, 01:30:05 IST');
  });

  it('leaves out the date of today in that zone', () => {
    const now = at('2026-11-20T20:00:00Z');
    expect(compact(at('2026-11-20T19:00:00Z'), 'Asia/Kolkata', now)).toBe('00:30:00 IST');
    expect(compact(at('2026-11-20T18:00:00Z'), 'Asia/Kolkata', now)).toBe('20 Nov, 23:30:00 IST');
    expect(compact(at('2025-11-20T18:00:00Z'), 'UTC', now)).toBe('20 Nov 2025, 18:00:00 UTC');
  });

  it('writes midnight as 00:00', () => {
    expect(hourMinute(at('2026-11-20T18:30:00Z'), 'Asia/Kolkata')).toBe('00:00');
  });

  it('tells how long ago without rounding up', () => {
    const now = at('2026-11-21T10:00:00Z');
    expect(relative(at('2026-11-21T09:59:57Z'), now)).toBe('3 s ago');
    expect(relative(at('2026-11-21T09:00:01Z'), now)).toBe('59 min ago');
    expect(relative(at('2026-11-21T10:00:30Z'), now)).toBe('in 30 s');
    expect(relative(now, now)).toBe('now');
  });

  it('tells how long something lasted', () => {
    expect(lasting(45)).toBe('45 s');
    expect(lasting(7500)).toBe('2 h 5 min');
    expect(lasting(3600)).toBe('1 h');
    expect(lasting(-1)).toBe('0 s');
    expect(stopwatch(32)).toBe('00:32');
    expect(stopwatch(3723)).toBe('1:02:03');
  });
});

describe('choices', () => {
  it('falls back to what exists', () => {
    expect(resolveZone('instance', 'Asia/Kolkata', 'Europe/Paris')).toBe('Asia/Kolkata');
    expect(resolveZone('browser', 'Asia/Kolkata', 'Europe/Paris')).toBe('Europe/Paris');
    expect(resolveZone('Europe/Rome', 'Asia/Kolkata', 'Europe/Paris')).toBe('Europe/Rome');
    expect(resolveZone('instance', 'Nowhere/Land', 'Europe/Paris')).toBe('UTC');
    expect(isZone('')).toBe(false);
  });
});
