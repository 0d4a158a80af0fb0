// Converts a raw image to a VHD, shows how far it is, compares both, and lets Ctrl+C end it without leaving half an image behind.
//
//   dotnet run --project samples/WatchProgress -- FOLDER

using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Operations;

var folder = args.Length > 0 ? args[0] : Directory.CreateTempSubdirectory("watch-progress-").FullName;
var rawPath = Path.Combine(folder, "disk.raw");
var vhdPath = Path.Combine(folder, "disk.vhd");

using var cancellation = new CancellationTokenSource();
Console.CancelKeyPress += (_, pressed) =>
{
    pressed.Cancel = true;
    cancellation.Cancel();
};

await using (var raw = await VirtualDisk.CreateAsync(rawPath, new ImageCreateOptions { Format = ImageFormat.Raw, Size = 128 << 20 }))
{
    var megabyte = new byte[1 << 20];
    new Random(1).NextBytes(megabyte);
    foreach (var at in new long[] { 0, 50 << 20, 127 << 20 })
    {
        await raw.WriteAsync(at, megabyte);
    }
}

await using var source = await VirtualDisk.OpenAsync(rawPath);
var options = new ImageCreateOptions
{
    Format = ImageFormat.Vhd,
    Size = source.Length,
    DeferPublishing = true, // the image appears under its name when it is complete, or not at all
};
await using (var target = await VirtualDisk.CreateAsync(vhdPath, options))
{
    var convert = new ConvertOptions { TargetIsZero = true, Verify = true };
    var result = await ConvertOperation.RunAsync(source.Device, target.Device, convert, new Quarters(), cancellation.Token);
    await target.PublishAsync();
    Console.WriteLine($"{result.BytesWritten} bytes were written, {result.BytesZero} are zero and take no space.");
}

Console.WriteLine($"The disk has 128 MiB, its image less than 8: {new FileInfo(vhdPath).Length < 8 << 20}");
await source.DisposeAsync();
if (args.Length == 0)
{
    Directory.Delete(folder, recursive: true);
}

/// <summary>Tells each quarter of each phase as it is reached. Reports come from any thread, but one at a time.</summary>
internal sealed class Quarters : IProgress<OperationProgress>
{
    private string _phase = "";
    private long _told;

    public void Report(OperationProgress value)
    {
        if (value.Phase != _phase)
        {
            (_phase, _told) = (value.Phase, 0);
        }

        var quarters = value.BytesTotal == 0 ? 4 : value.BytesDone * 4 / value.BytesTotal;
        for (; _told < quarters; _told++)
        {
            Console.WriteLine($"{value.Phase}: {(_told + 1) * 25} %");
        }
    }
}
