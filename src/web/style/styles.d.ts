/** Style sheets are put together by the build: importing one is all there is to it. */
declare module '*.css';
