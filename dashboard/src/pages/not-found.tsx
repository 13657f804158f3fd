import { href } from '../base.ts';
import { location, paths } from '../router/router.ts';
import { PageHeading } from './heading.tsx';

export function NotFoundPage() {
  return (
    <div class="page page-narrow">
      <div class="empty card">
        <PageHeading title="Page not found" />
        <p>
          There is nothing at <code>{location.value.path}</code>. The address may be mistyped, or what it
          named is gone.
        </p>
        <a class="button button-primary" href={href(paths.list)}>
          To the monitors
        </a>
      </div>
    </div>
  );
}
