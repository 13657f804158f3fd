import { computed, effect, signal } from '@preact/signals';
import type { Status } from '../api/types.ts';
import { href } from '../base.ts';
import { hasSnapshot, views } from '../live/store.ts';
import { verdictOf, verdictTitle } from './verdict.ts';

export const verdict = computed(() => verdictOf(views.value.values()));

/** What the page on screen is called; each page sets its own. */
export const pageTitle = signal('Monitors');

const ICONS: Partial<Record<Status, string>> = {
  unhealthy: 'favicon-bad.svg',
  degraded: 'favicon-warn.svg',
  unknown: 'favicon-unknown.svg',
};

/** Lets the tab itself tell the verdict: in its title and its icon. */
export function startPageHead(): () => void {
  const stopTitle = effect(() => {
    const trouble = hasSnapshot.value ? verdictTitle(verdict.value) : '';
    document.title = `${trouble ? `(${trouble}) ` : ''}${pageTitle.value} · wise-monitoring`;
  });
  const icon = computed(() => ICONS[verdict.value.worst] ?? 'favicon.svg');
  const stopIcon = effect(() => {
    document.querySelector('link[rel="icon"]')?.setAttribute('href', href(icon.value));
  });
  return () => {
    stopTitle();
    stopIcon();
  };
}
