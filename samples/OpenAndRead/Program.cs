// Opens an image with all its parents, tells what it consists of, and reads it.
//
//   dotnet run --project samples/OpenAndRead -- samples/images/xen-chain/leaf.vhd

using System.Security.Cryptography;
using System.Text;
using VhdCore.Disks;
using VhdCore.Errors;
using VhdCore.Formats;

if (args.Length != 1)
{
    Console.Error.WriteLine("Usage: OpenAndRead IMAGE");
    return 1;
}

var options = new ImageOpenOptions
{
    // An image names its parents. Where images come from strangers, say how far that may lead.
    Parents = ParentPolicy.BelowRoot,
    ParentRoot = Path.GetDirectoryName(Path.GetFullPath(args[0])),
    OnWarning = warning => Console.Error.WriteLine($"{warning.Path}: {warning.Message}"),
};

try
{
    await using var disk = await VirtualDisk.OpenAsync(args[0], options);
    Console.WriteLine($"{disk.Length} bytes in {disk.Images.Count} images:");
    foreach (var image in disk.Images)
    {
        Console.WriteLine($"  {Path.GetFileName(image.Path)}: {image.Kind} {image.Format}");
    }

    // Any offset and length will do.
    var text = new byte[24];
    await disk.ReadAsync(offset: 0, text);
    Console.WriteLine($"At the start: {Encoding.ASCII.GetString(text)}");

    long zeros = 0;
    await foreach (var run in disk.GetExtentsAsync())
    {
        zeros += run.IsZero ? run.Length : 0;
    }

    Console.WriteLine($"{zeros} bytes are known to be zero without reading them.");

    await using var stream = disk.AsStream();
    Console.WriteLine($"SHA-256 {Convert.ToHexStringLower(await SHA256.HashDataAsync(stream))}");
    return 0;
}
catch (ImageException error)
{
    Console.Error.WriteLine($"{error.Path ?? args[0]}: {error.Message}"); // what is wrong, where, and what to do next
    return 1;
}
