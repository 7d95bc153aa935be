@echo off
rem The way back, in one command: stops the agent, puts Claude Code's settings back, removes the programs.
rem
rem   uninstall.cmd            keeps the configuration and what was not delivered yet
rem   uninstall.cmd PURGE=1    keeps nothing
setlocal
pushd "%~dp0"
for %%f in (claude-telemetry-agent-*.msi) do set "msi=%%~ff"
popd
if not defined msi (
  echo uninstall: there is no claude-telemetry-agent-*.msi beside this file 1>&2
  exit /b 1
)
msiexec /x "%msi%" /qn /norestart %*
exit /b %errorlevel%
