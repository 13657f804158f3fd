import type { ComponentChildren } from 'preact';

/** A part that scrolls by itself has to take the focus, or a keyboard could not scroll it. */
const FOCUSABLE = { tabIndex: 0 } as const;

interface Props {
  label: string;
  class?: string;
  children: ComponentChildren;
}

export function ScrollRegion({ label, class: name = 'table-scroll', children }: Props) {
  return (
    <section class={name} aria-label={label} {...FOCUSABLE}>
      {children}
    </section>
  );
}
