import { useMemo } from 'preact/hooks';
import { type MessageContent, parseUserId } from '../../../sdk/index.ts';
import { EVERYBODY, type Piece, piecesOf, withoutControls } from '../../model/markup.ts';
import { useApp } from '../context.ts';

/** Text with links, code and names. All of it is put in as text: nothing of it is ever read as markup. */
export function TextBody({ content }: { content: MessageContent }) {
  const { body, mentions, mentionsAll } = content;
  const pieces = useMemo(
    () => piecesOf(withoutControls(new TextDecoder().decode(body)), mentions ?? [], mentionsAll === true),
    [body, mentions, mentionsAll],
  );
  return (
    <span class="text">
      {pieces.map((piece, i) => (
        <PieceView key={i} piece={piece} />
      ))}
    </span>
  );
}

function PieceView({ piece }: { piece: Piece }) {
  switch (piece.type) {
    case 'link':
      return (
        <a href={piece.href} target="_blank" rel="noopener noreferrer nofollow">
          {piece.text}
        </a>
      );
    case 'code':
      return <code>{piece.text}</code>;
    case 'block':
      return (
        <pre>
          <code>{piece.text}</code>
        </pre>
      );
    case 'mention':
      return <Mention name={piece.text.slice(1)} />;
    default:
      return <>{piece.text}</>;
  }
}

/** Shown by the name they have for who reads; what was written stands in the title. */
function Mention({ name }: { name: string }) {
  const app = useApp();
  const isAll = (EVERYBODY as readonly string[]).includes(name);
  const user = isAll ? undefined : parseUserId(name);
  return (
    <span class={`mention${isAll || name === app.me ? ' mention-me' : ''}`} title={`@${name}`}>
      @{user === undefined ? name : app.names.of(user)}
    </span>
  );
}
