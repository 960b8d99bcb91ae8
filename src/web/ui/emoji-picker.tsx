import { useEffect, useRef } from 'preact/hooks';
import { text } from '../text/text.ts';

/** A choice that fits a small window; all others come from the keyboard of the system. */
const EMOJI = [
  ...'😀😃😄😁😅😂🤣🥲😊🙂😉😍🥰😘😋😜🤪🤗🤭🤔🤨😐😏😒🙄😬😌😴😷🤒🥳😎🤓😕😟😮😲😳🥺😢😭😱😤😡🤯😇🫡🫠',
  ...'👍👎👌🤌🤞🤟🤙👈👉👆👇👋🙌👏🙏💪🤝',
]
  .concat([
    '✌️',
    '❤️',
    '🧡',
    '💛',
    '💚',
    '💙',
    '💜',
    '🖤',
    '💔',
    '💯',
    '✨',
    '🔥',
    '🎉',
    '🎂',
    '🎁',
    '⭐',
    '🌈',
    '☀️',
    '🌙',
  ])
  .concat([...'🌿🌸🌻🍀🍁🐦🐣🦉🪺🐱🐶🦊🐼🍎🍓🍜🍕🥐🍰🍺🚀🚲🚄🏡📌📎📷💡📚💻⏰✅❌❓❗', '☕']);

export function EmojiPicker({ pick, close }: { pick: (emoji: string) => void; close: () => void }) {
  const grid = useRef<HTMLDivElement>(null);
  useEffect(() => {
    grid.current?.querySelector('button')?.focus();
    const outside = (event: Event): void => {
      if (!grid.current?.parentElement?.contains(event.target as Node)) close();
    };
    addEventListener('pointerdown', outside, true);
    return () => removeEventListener('pointerdown', outside, true);
  }, []);
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === 'Escape') {
      event.stopPropagation();
      return close();
    }
    const buttons = [...(grid.current?.querySelectorAll('button') ?? [])];
    const columns = 8;
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    buttons[buttons.indexOf(document.activeElement as HTMLButtonElement) + step]?.focus();
  };
  return (
    <div ref={grid} class="emoji-picker" role="dialog" aria-label={text('compose.emoji')} onKeyDown={onKeyDown}>
      {EMOJI.map((emoji) => (
        <button key={emoji} type="button" onClick={() => pick(emoji)}>
          {emoji}
        </button>
      ))}
    </div>
  );
}
