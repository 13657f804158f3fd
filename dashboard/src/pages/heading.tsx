import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { pageTitle } from '../status/page-head.ts';

/** The one heading of a page. It takes the focus when the page is entered and names the tab. */
export function PageHeading({
  title,
  children,
  class: name,
}: {
  title: string;
  children?: ComponentChildren;
  class?: string;
}) {
  useEffect(() => {
    pageTitle.value = title;
  }, [title]);
  return (
    <h1 class={name} tabIndex={-1}>
      {children ?? title}
    </h1>
  );
}
