import { href } from '../../base.ts';
import { paths } from '../../router/router.ts';
import { verdict } from '../../status/page-head.ts';
import { statusWord } from '../../status/status.ts';
import { calmText, type VerdictPart } from '../../status/verdict.ts';
import { Ago } from '../../time/time.tsx';
import { StatusIcon, toneOf } from '../../ui/status-icon.tsx';

/** One sentence that answers the question one came with. */
export function VerdictBar() {
  const { worst, problems, lastCheck, total, healthy } = verdict.value;
  const nothing = healthy === 0 && problems.length === 0;
  return (
    <div class={`verdict verdict-${nothing ? 'paused' : worst}`}>
      {total > 0 && <StatusIcon status={nothing ? 'paused' : worst} />}
      <p class="verdict-text">
        {problems.length === 0
          ? calmText(verdict.value)
          : problems.map((part, index) => (
              <span key={`${part.status}${part.down}`}>
                {index > 0 && <span class="verdict-stop"> · </span>}
                <Part part={part} />
              </span>
            ))}
        {lastCheck !== null && (
          <span class="verdict-aside">
            last check <Ago time={new Date(lastCheck).toISOString()} />
          </span>
        )}
      </p>
    </div>
  );
}

function Part({ part }: { part: VerdictPart }) {
  const more = part.count - part.named.length;
  return (
    <>
      <span class={`verdict-count ${toneOf(part.status)}`}>
        {part.count} {statusWord(part.status, part.down).toLowerCase()}:
      </span>{' '}
      {part.named.map(({ id, name }, index) => (
        <span key={id}>
          {index > 0 && ', '}
          <a href={href(paths.monitor(id))}>{name}</a>
        </span>
      ))}
      {more > 0 && ` and ${more} more`}
    </>
  );
}
