/** Whether an element is on the screen, for many of them by one observer. */
import { useEffect, useRef } from 'preact/hooks';
import type { UserId } from '../../sdk/index.ts';
import { useApp } from './context.ts';

const told = new WeakMap<Element, (isShown: boolean) => void>();
const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) told.get(target)?.(isIntersecting);
});

/** Asks for somebody's presence as long as the element is seen. @returns what to give the element as its `ref` */
export function useShown(user: UserId) {
  const app = useApp();
  const place = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const element = place.current;
    if (!element || user === app.me) return undefined;
    let hide: (() => void) | undefined;
    told.set(element, (isShown) => {
      hide?.();
      hide = isShown ? app.presence.shows(user) : undefined;
    });
    observer.observe(element);
    return () => {
      observer.unobserve(element);
      told.delete(element);
      hide?.();
    };
  }, [app, user]);
  return place;
}
