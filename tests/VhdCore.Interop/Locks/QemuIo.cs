using System.Diagnostics;
using VhdCore.Testing;

namespace VhdCore.Interop.Locks;

/// <summary>A qemu-io that holds an image open until it is disposed of.</summary>
internal sealed class QemuIo : IDisposable
{
    private readonly Process _process;

    private QemuIo(Process process) => _process = process;

    /// <summary>Opens an image and waits until it is open; skips the calling test where there is no qemu-io.</summary>
    public static async Task<QemuIo> HoldAsync(string path, string format, bool readOnly)
    {
        string[] arguments = readOnly ? ["-r", "-f", format, path] : ["-f", format, path];
        var process = Process.Start(new ProcessStartInfo(Tools.Require("qemu-io"), arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        var held = new QemuIo(process);
        try
        {
            await process.StandardInput.WriteLineAsync("read 0 512");
            await process.StandardInput.FlushAsync();
            using var timeout = new CancellationTokenSource(Patience.Hang);
            while (true)
            {
                var line = await process.StandardOutput.ReadLineAsync(timeout.Token);
                if (line is null)
                {
                    Assert.Fail($"qemu-io ended: {await process.StandardError.ReadToEndAsync(timeout.Token)}");
                }

                if (line.Contains("read 512/512", StringComparison.Ordinal))
                {
                    return held;
                }
            }
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.StandardInput.Close();
            if (!_process.WaitForExit(Patience.Hang))
            {
                _process.Kill();
                _process.WaitForExit();
            }
        }

        _process.Dispose();
    }
}
