// An image that lives somewhere else than in a file: here in memory, and every request is counted.
//
//   dotnet run --project samples/CustomStorage

using System.Text;
using CustomStorage;
using VhdCore.Disks;
using VhdCore.Formats;

var memory = new MemoryResolver();

var options = new ImageCreateOptions { Format = ImageFormat.Vhd, Size = 16 << 20, BlockSize = 512 << 10 };
await using (var disk = await VirtualDisk.CreateAsync("disk.vhd", options, memory))
{
    await disk.WriteAsync(offset: 5_000_000, "kept in memory"u8.ToArray());
    await disk.FlushAsync();
}

var readsBefore = memory["disk.vhd"].Reads;
await using (var disk = await VirtualDisk.OpenAsync("disk.vhd", resolver: memory))
{
    var readsToOpen = memory["disk.vhd"].Reads - readsBefore;
    var text = new byte[14];
    await disk.ReadAsync(offset: 5_000_000, text);
    Console.WriteLine($"Read back: {Encoding.ASCII.GetString(text)}");
    Console.WriteLine($"Opening took a few reads: {readsToOpen is > 0 and < 20}");
}

Console.WriteLine($"The disk has 16 MiB, its image less than 2: {memory["disk.vhd"].Length < 2 << 20}");
Console.WriteLine($"Flushes were asked for: {memory["disk.vhd"].Flushes > 0}");
