/** Style sheets are imported for their effect: the build collects them beside the script. */

declare module '*.css'
