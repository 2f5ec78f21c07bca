// Save what was filled in as the lines that `thalweg explain --answers` marks.
document.querySelector("button[data-comment]").addEventListener("click", (event) => {
  const fields = [...document.querySelectorAll("input[data-number]")];
  const lines = fields.map((field) => `${field.dataset.number} = ${field.value.trim()}`);
  const text = [event.target.dataset.comment, ...lines, ""].join("\n");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = "answers.toml";
  link.click();
  URL.revokeObjectURL(link.href);
});
