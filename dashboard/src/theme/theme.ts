import { effect } from '@preact/signals';
import { stored } from '../prefs/stored.ts';

export type Theme = 'system' | 'light' | 'dark';

const isTheme = (text: string): text is Theme => text === 'system' || text === 'light' || text === 'dark';

export const theme = stored<Theme>('theme', 'system', isTheme);

/** Puts the chosen theme on the page; without a choice the style sheet follows the system. */
export function startTheme(): () => void {
  return effect(() => {
    if (theme.value === 'system') document.documentElement.removeAttribute('data-theme');
    else document.documentElement.dataset['theme'] = theme.value;
  });
}
