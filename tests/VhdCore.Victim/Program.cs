using System.Globalization;
using VhdCore.Disks;
using VhdCore.Formats;
using VhdCore.Storage;
using VhdCore.Victim;

// Writes to a disk until it is killed, and says on standard output what a flush has made durable: "open", then the index of each segment.
const int MostSegments = 10_000; // a victim that nobody kills ends by itself
var (path, seed) = (args[0], int.Parse(args[1], CultureInfo.InvariantCulture));
var io = new IoSettings { Engine = Enum.Parse<StorageEngine>(args[2]), Waits = Enum.Parse<CallerWaits>(args[3]) };
var disk = await VirtualDisk.OpenAsync(path, new ImageOpenOptions { Writable = true, Io = io });
Say("open");
for (var index = 0; index < MostSegments; index++)
{
    await Task.WhenAll(VictimScript.Segment(seed, index).Select(request => Task.Run(async () => await RunAsync(request))));
    await disk.FlushAsync();
    Say(index.ToString(CultureInfo.InvariantCulture));
}

return 3;

async Task RunAsync(VictimRequest request)
{
    switch (request.Action)
    {
        case VictimAction.Write:
            await disk.WriteAsync(request.Offset, VictimScript.Content(request.Offset, request.Length, request.Version));
            break;

        case VictimAction.Zero:
            await disk.ZeroAsync(request.Offset, request.Length);
            break;

        default:
            await disk.TrimAsync(request.Offset, request.Length);
            break;
    }
}

static void Say(string line)
{
    Console.Out.WriteLine(line);
    Console.Out.Flush();
}
