@echo off
rem Installs or upgrades the agent for Intune's Win32 app, or by hand as administrator:
rem
rem   install.cmd [PROPERTY=VALUE...]
rem
rem   install.cmd DOWNGRADE=1       goes back to this version from a newer one; data and settings stay
rem
rem An agent.yaml and an enrollment-secret beside this file are put in place first. The properties are those of
rem the .msi, such as SERVER_URL=https://telemetry.example.com
setlocal
set "data=%ProgramData%\ClaudeTelemetry"
if not exist "%data%" mkdir "%data%"
rem The system and administrators only, before anything lies in it.
icacls "%data%" /inheritance:r /grant "*S-1-5-18:(OI)(CI)F" "*S-1-5-32-544:(OI)(CI)F" >nul
if errorlevel 1 exit /b 1
for %%f in (agent.yaml enrollment-secret) do if exist "%~dp0%%f" copy /y "%~dp0%%f" "%data%\%%f" >nul
if errorlevel 1 exit /b 1
pushd "%~dp0"
for %%f in (claude-telemetry-agent-*.msi) do set "msi=%%~ff"
popd
if not defined msi (
  echo install: there is no claude-telemetry-agent-*.msi beside this file 1>&2
  exit /b 1
)
msiexec /i "%msi%" /qn /norestart %*
exit /b %errorlevel%
