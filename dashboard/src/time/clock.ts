import { signal } from '@preact/signals';

/** The server's clock minus ours, so that "3 s ago" is right on a machine whose clock is not. */
export const clockOffset = signal(0);

/** The server's time in milliseconds, moving once a second while the page is looked at. */
export const now = signal(Date.now());

export function serverNow(): number {
  return Date.now() + clockOffset.peek();
}

export function learnServerTime(text: string): void {
  const time = Date.parse(text);
  if (Number.isNaN(time)) return;
  clockOffset.value = time - Date.now();
  now.value = serverNow();
}

/** Starts the one timer behind every relative time of the page. */
export function startClock(): () => void {
  const tick = () => {
    if (!document.hidden) now.value = serverNow();
  };
  const timer = setInterval(tick, 1000);
  document.addEventListener('visibilitychange', tick);
  return () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', tick);
  };
}
