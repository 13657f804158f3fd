export function FormPage({ id }: { id: string | null }) {
  return <h1>{id}</h1>;
}
