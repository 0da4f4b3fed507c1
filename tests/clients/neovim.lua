-- Types in a real Neovim with vim.lsp.inline_completion, and writes what it saw to $OUT as JSON.
-- nvim --headless -u NONE -i NONE -S neovim.lua, with COMMAND and FILE.
local seen = {}

local function sleep(ms)
  local running = coroutine.running()
  vim.defer_fn(function() coroutine.resume(running) end, ms)
  coroutine.yield()
end

local function wait(what, condition)
  for _ = 1, 400 do
    if condition() then return end
    sleep(50)
  end
  error("timeout: " .. what)
end

local function type_keys(keys)
  vim.api.nvim_input(keys)
  sleep(150)
end

local function ghost()
  local namespace = vim.api.nvim_create_namespace("nvim.lsp.inline_completion")
  local mark = vim.api.nvim_buf_get_extmarks(0, namespace, 0, -1, { details = true })[1]
  return mark and mark[4].virt_text[1][1]
end

local function session()
  local client
  wait("a client", function()
    client = vim.lsp.get_clients({ name = "git-copilot", bufnr = 0 })[1]
    return client and client.initialized
  end)
  seen.encoding = client.offset_encoding
  type_keys("Go# é😀<CR>x = ")
  wait("a completion", ghost)
  seen.shown = ghost()
  type_keys("d")
  seen.typed_along = ghost()
  sleep(1000)
  vim.lsp.inline_completion.get()
  sleep(300)
  seen.line = vim.api.nvim_get_current_line()
  type_keys("<CR>y = ")
  wait("another completion", ghost)
  type_keys("<Esc>")
  seen.after_insert_mode = ghost() or "nothing"
  seen.messages = vim.fn.execute("messages")
end

vim.opt.swapfile = false
vim.lsp.config("git-copilot", { cmd = { vim.env.COMMAND, "lsp" }, root_markers = { ".git" } })
vim.lsp.enable("git-copilot")
vim.lsp.inline_completion.enable()
vim.cmd.edit(vim.fn.fnameescape(vim.env.FILE))
vim.bo.filetype = "python"
coroutine.wrap(function()
  local ok, problem = xpcall(session, debug.traceback)
  seen.problem = not ok and problem or nil
  vim.fn.writefile({ vim.json.encode(seen) }, vim.env.OUT)
  vim.cmd("qa!")
end)()
