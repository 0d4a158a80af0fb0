// Creates a dynamic disk, a differencing disk on it, and shows that the child's writes leave the parent alone.
//
//   dotnet run --project samples/CreateChain -- FOLDER

using System.Text;
using VhdCore.Disks;
using VhdCore.Formats;

var folder = args.Length > 0 ? args[0] : Directory.CreateTempSubdirectory("create-chain-").FullName;
var basePath = Path.Combine(folder, "base.vhd");
var childPath = Path.Combine(folder, "child.vhd");

var dynamic = new ImageCreateOptions { Format = ImageFormat.Vhd, Kind = ImageKind.Dynamic, Size = 64 << 20 };
await using (var disk = await VirtualDisk.CreateAsync(basePath, dynamic))
{
    await disk.WriteAsync(0, "written to the base"u8.ToArray());
    await disk.WriteAsync(32 << 20, "also in the base"u8.ToArray());
    await disk.FlushAsync(); // what was written is durable from here on
}

// The size is the parent's. The child names its parent by a path relative to itself, so that both can move together.
var differencing = new ImageCreateOptions { Format = ImageFormat.Vhd, Kind = ImageKind.Differencing, Parent = basePath };
await using (var disk = await VirtualDisk.CreateAsync(childPath, differencing))
{
    await disk.WriteAsync(0, "written to the child"u8.ToArray());
    await disk.FlushAsync();
}

await ShowAsync(basePath);
await ShowAsync(childPath);

if (args.Length == 0)
{
    Directory.Delete(folder, recursive: true);
}

static async Task ShowAsync(string path)
{
    await using var disk = await VirtualDisk.OpenAsync(path);
    Console.WriteLine($"{Path.GetFileName(path)}: {disk.Length} bytes in {disk.Images.Count} image(s)");
    foreach (var offset in new long[] { 0, 32 << 20 })
    {
        var bytes = new byte[20];
        await disk.ReadAsync(offset, bytes);
        var owner = disk.Images[await DepthAtAsync(disk, offset)];
        Console.WriteLine($"  at {offset}: \"{Encoding.ASCII.GetString(bytes).TrimEnd('\0')}\" out of {Path.GetFileName(owner.Path)}");
    }
}

// Which image of the chain answers for an offset: 0 is the leaf.
static async Task<int> DepthAtAsync(VirtualDisk disk, long offset)
{
    await foreach (var run in disk.GetExtentsAsync())
    {
        if (offset < run.Offset + run.Length)
        {
            return run.Depth;
        }
    }

    throw new ArgumentOutOfRangeException(nameof(offset));
}
